//! Who gets a copy.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::*;
use crate::message::Priority;

fn envelope() -> Envelope {
    Envelope {
        content_type: Some("application/json".into()),
        attributes: vec![
            ("country".into(), "DE".into()),
            ("cents".into(), "1500".into()),
            ("empty".into(), String::new()),
        ],
        group: Some("customer-7".into()),
        correlation_id: Some("c".into()),
        reply_to: Some(QueueName::new("answers").unwrap()),
        message_type: Some("order.placed".into()),
        schema_version: Some("2".into()),
        source: Some("shop/berlin".into()),
        priority: Priority::new(9).unwrap(),
        ..Envelope::default()
    }
}

fn is(text: &str) -> Test {
    Test::Is(text.into())
}

fn condition(field: Field, any_of: impl Into<Vec<Test>>) -> Condition {
    Condition {
        field,
        any_of: any_of.into(),
    }
}

fn attribute(name: &str) -> Field {
    Field::Attribute(name.into())
}

#[test]
fn every_field_of_the_envelope_can_be_filtered() {
    for (name, value) in [
        ("type", "order.placed"),
        ("schema_version", "2"),
        ("source", "shop/berlin"),
        ("content_type", "application/json"),
        ("correlation_id", "c"),
        ("reply_to", "answers"),
        ("group", "customer-7"),
        ("priority", "9"),
    ] {
        let field = Field::named(name).unwrap();
        assert_eq!(field.to_string(), name);
        let holds = |text| Filter(vec![condition(field.clone(), [is(text)])]).holds(&envelope());
        assert!(holds(value), "{name}");
        assert!(!holds("other"), "{name}");
        let absent = Filter(vec![condition(field.clone(), [Test::Absent])]);
        assert!(!absent.holds(&envelope()));
        assert_eq!(absent.holds(&Envelope::default()), name != "priority");
    }
    assert_eq!(Field::named("body"), None);
}

#[test]
fn each_test_asks_what_it_says() {
    let starts = |text: &str| Test::StartsWith(text.into());
    for (field, test, holds) in [
        (attribute("country"), is("DE"), true),
        (attribute("country"), is("de"), false),
        (attribute("country"), starts("D"), true),
        (attribute("country"), starts("DEU"), false),
        (attribute("country"), Test::Exists, true),
        (attribute("country"), Test::Absent, false),
        (attribute("empty"), Test::Exists, true),
        (attribute("empty"), is(""), true),
        (attribute("gone"), Test::Exists, false),
        (attribute("gone"), Test::Absent, true),
        (attribute("gone"), starts(""), false),
        (
            attribute("cents"),
            Test::Between(Included(1500.0), Unbounded),
            true,
        ),
        (
            attribute("cents"),
            Test::Between(Excluded(1500.0), Unbounded),
            false,
        ),
        (
            attribute("cents"),
            Test::Between(Unbounded, Included(1500.0)),
            true,
        ),
        (
            attribute("cents"),
            Test::Between(Unbounded, Excluded(1500.0)),
            false,
        ),
        (
            attribute("cents"),
            Test::Between(Included(1e3), Excluded(2e3)),
            true,
        ),
        (
            attribute("country"),
            Test::Between(Included(0.0), Unbounded),
            false,
        ),
        (
            attribute("empty"),
            Test::Between(Included(0.0), Unbounded),
            false,
        ),
        (
            attribute("gone"),
            Test::Between(Included(0.0), Unbounded),
            false,
        ),
        (
            Field::Priority,
            Test::Between(Included(9.0), Unbounded),
            true,
        ),
    ] {
        let filter = Filter(vec![condition(field, [test])]);
        assert_eq!(filter.holds(&envelope()), holds, "{filter}");
    }
}

#[test]
fn what_is_no_finite_number_is_in_no_range() {
    for text in ["NaN", "inf", "-inf", "1e999", "0x10", "1,5", "one", ""] {
        let mut envelope = Envelope::default();
        envelope.attributes.push(("n".into(), text.into()));
        let below = Test::Between(Unbounded, Included(f64::MAX));
        let above = Test::Between(Included(f64::MIN), Unbounded);
        let filter = Filter(vec![condition(attribute("n"), [below, above])]);
        assert!(!filter.holds(&envelope), "{text}");
    }
    for text in ["1", " 1 ", "1.5", "-3", "1e3", "+2"] {
        let mut envelope = Envelope::default();
        envelope.attributes.push(("n".into(), text.into()));
        let any = Test::Between(Included(f64::MIN), Unbounded);
        assert!(Filter(vec![condition(attribute("n"), [any])]).holds(&envelope));
    }
}

#[test]
fn conditions_are_joined_by_and_values_and_filters_by_or() {
    let country = |any_of: &[&str]| {
        let tests: Vec<Test> = any_of.iter().map(|text| is(text)).collect();
        condition(attribute("country"), tests)
    };
    let subscription = |filters| Subscription {
        queue: QueueName::new("q").unwrap(),
        filters,
    };
    let order = || condition(Field::Type, [is("order.placed")]);
    let refund = || condition(Field::Type, [is("refund")]);
    for (filters, matches) in [
        (vec![], true),
        (vec![Filter(vec![order(), country(&["AT", "DE"])])], true),
        (vec![Filter(vec![order(), country(&["AT", "CH"])])], false),
        (vec![Filter(vec![refund(), country(&["DE"])])], false),
        (
            vec![Filter(vec![refund()]), Filter(vec![country(&["DE"])])],
            true,
        ),
        (
            vec![Filter(vec![refund()]), Filter(vec![country(&["CH"])])],
            false,
        ),
    ] {
        let subscription = subscription(filters);
        assert_eq!(subscription.matches(&envelope()), matches, "{subscription}");
    }
}

#[test]
fn those_that_match_are_told_in_their_order() {
    let to = |queue: &str, filters| Subscription {
        queue: QueueName::new(queue).unwrap(),
        filters,
    };
    let only = |kind: &str| vec![Filter(vec![condition(Field::Type, [is(kind)])])];
    let topic = TopicPolicy {
        subscriptions: vec![
            to("audit", Vec::new()),
            to("refunds", only("refund")),
            to("invoices", only("order.placed")),
        ],
        unmatched: Unmatched::Count,
    };
    let matching: Vec<usize> = topic.matching(&envelope()).collect();
    assert_eq!(matching, [0, 2]);
}

#[test]
fn a_filter_reads_as_it_is_meant() {
    let filter = Filter(vec![
        condition(Field::Type, [is("a"), Test::StartsWith("b.".into())]),
        condition(
            attribute("cents"),
            [Test::Between(Included(1.0), Excluded(2.5))],
        ),
        condition(attribute("x"), [Test::Absent]),
    ]);
    assert_eq!(
        filter.to_string(),
        "type = \"a\" | = \"b.\"… and attributes.cents >= 1 < 2.5 and attributes.x does not exist"
    );
}
