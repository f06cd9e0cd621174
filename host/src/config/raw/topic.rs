//! What was typed about a topic. Filters have no defaults, so they are read as they are used.

use std::ops::Bound;

use gristmill_queue::topic::{Condition, Field, Filter, Test, Unmatched};
use gristmill_queue::{QueueName, limits};
use toml::Spanned;
use toml::de::DeValue;

use super::only_keys_of;
use crate::config::keys::Table;
use crate::config::problem::{Place, Problems};
use crate::config::section::{Given, Section};
use crate::config::spelling;

/// `[topic.NAME]`
pub struct RawTopic {
    pub queues: Given<Vec<Spanned<String>>>,
    pub unmatched: Given<Unmatched>,
    /// For each queue the filters of which one has to hold.
    pub filters: Vec<(Spanned<String>, Vec<Filter>)>,
}

const FIELDS: [&str; 9] = [
    "type",
    "schema_version",
    "source",
    "content_type",
    "correlation_id",
    "reply_to",
    "group",
    "priority",
    "attributes",
];
const CURE: &str = "write a text, a number, a list of them, or { prefix = \"…\" }, { min = 1, below = 10 }, { exists = true }";

impl RawTopic {
    /// Reads the table of a topic.
    pub fn read(topic: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        const UNMATCHED: [(&str, Unmatched); 2] =
            [("count", Unmatched::Count), ("refuse", Unmatched::Refuse)];
        only_keys_of(Table::Topic, topic, &[], problems);
        let mut filters = Vec::new();
        if let Some(table) = topic.table("filter", problems) {
            for (queue, alternatives) in table.lists_of_tables(problems) {
                if alternatives.len() > limits::MAX_FILTERS {
                    let message = format!("has more than {} filters", limits::MAX_FILTERS);
                    table.bad(queue.get_ref(), queue.span(), &message, None, problems);
                }
                let read = |filter: &Section<'_, '_>| read_filter(filter, &queue.span(), problems);
                let alternatives = alternatives.iter().map(read).collect();
                filters.push((queue, alternatives));
            }
        }
        RawTopic {
            queues: topic.list("queues", problems),
            unmatched: topic.choice("unmatched", &UNMATCHED, problems),
            filters,
        }
    }
}

fn read_filter(filter: &Section<'_, '_>, place: &Place, problems: &mut Problems<'_>) -> Filter {
    filter.only(&FIELDS, problems);
    let mut conditions = Vec::new();
    for (name, value) in filter.entries() {
        if let Some(field) = Field::named(name.get_ref()) {
            conditions.push(read_condition(
                field,
                filter,
                name.get_ref(),
                value,
                problems,
            ));
        }
    }
    if let Some(attributes) = filter.table("attributes", problems) {
        for (name, value) in attributes.entries() {
            let text = name.get_ref();
            if text.is_empty()
                || text.len() > limits::MAX_ATTRIBUTE_NAME
                || text.starts_with(limits::RESERVED_ATTRIBUTE_PREFIX)
            {
                let message = "is no attribute that a sender can give";
                attributes.bad(text, name.span(), message, None, problems);
            }
            let field = Field::Attribute(text.to_string());
            conditions.push(read_condition(field, &attributes, text, value, problems));
        }
    }
    let path = &filter.path;
    if conditions.is_empty() {
        let cure = "name the queue in `queues` if it is to get all messages".to_owned();
        let message = format!("`{path}` has no condition");
        problems.error(place.clone(), path, message, cure);
    }
    let values: usize = conditions.iter().map(|one| one.any_of.len()).sum();
    if values > limits::MAX_FILTER_VALUES {
        let message = format!(
            "`{path}` asks for {values} values, but may ask for {}",
            limits::MAX_FILTER_VALUES
        );
        problems.error(place.clone(), path, message, None);
    }
    Filter(conditions)
}

fn read_condition(
    field: Field,
    section: &Section<'_, '_>,
    name: &str,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems<'_>,
) -> Condition {
    let mut any_of = Vec::new();
    match value.get_ref() {
        DeValue::Array(values) => {
            if values.is_empty() {
                let message = "is an empty list, so nothing would match";
                section.bad(name, value.span(), message, CURE.to_owned(), problems);
            }
            let read = |value| read_test(section, name, value, problems);
            any_of.extend(values.iter().filter_map(read));
        }
        _ => any_of.extend(read_test(section, name, value, problems)),
    }
    if field == Field::ReplyTo {
        for test in &any_of {
            if let Test::Is(text) = test
                && let Err(error) = QueueName::new(text)
            {
                let message = format!("can never be so: {error}");
                section.bad(name, value.span(), &message, None, problems);
            }
        }
    }
    Condition { field, any_of }
}

fn read_test(
    section: &Section<'_, '_>,
    name: &str,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems<'_>,
) -> Option<Test> {
    match value.get_ref() {
        DeValue::String(text) => Some(Test::Is(text.to_string())),
        DeValue::Integer(_) | DeValue::Float(_) => {
            if let Some(number) = number(value.get_ref()) {
                return Some(Test::Between(
                    Bound::Included(number),
                    Bound::Included(number),
                ));
            }
            let message = "is not a finite decimal number";
            section.bad(name, value.span(), message, CURE.to_owned(), problems);
            None
        }
        DeValue::Table(_) => {
            let table = section.table_of(name, value)?;
            read_table(&table, value.span(), problems)
        }
        _ => {
            section.wrong_type(name, value, "a condition", CURE, problems);
            None
        }
    }
}

/// `{ prefix = … }`, `{ min = …, max = … }` or `{ exists = … }`
fn read_table(test: &Section<'_, '_>, place: Place, problems: &mut Problems<'_>) -> Option<Test> {
    test.only(
        &["prefix", "min", "above", "max", "below", "exists"],
        problems,
    );
    let prefix = test.text("prefix", problems);
    let exists = test.flag("exists", problems);
    let from = one_end(test, ["min", "above"], problems);
    let to = one_end(test, ["max", "below"], problems);
    let in_range = from != Bound::Unbounded || to != Bound::Unbounded;
    let kinds =
        usize::from(prefix.is_some()) + usize::from(exists.is_some()) + usize::from(in_range);
    if kinds != 1 {
        let path = &test.path;
        if !problems
            .blame(&["prefix", "min", "above", "max", "below", "exists"].map(|leaf| test.key(leaf)))
        {
            let message =
                format!("`{path}` must ask one thing: a prefix, a range, or whether it exists");
            problems.error(place, path, message, CURE.to_owned());
        }
        return None;
    }
    if let Some(prefix) = prefix {
        return Some(Test::StartsWith(prefix.into_inner()));
    }
    if let Some(exists) = exists {
        let exists = exists.into_inner();
        return Some(if exists { Test::Exists } else { Test::Absent });
    }
    let end = |bound: &Bound<f64>| match *bound {
        Bound::Included(at) => Some((at, true)),
        Bound::Excluded(at) => Some((at, false)),
        Bound::Unbounded => None,
    };
    if let (Some((low, with_low)), Some((high, with_high))) = (end(&from), end(&to))
        && (low > high || (low >= high && !(with_low && with_high)))
    {
        let path = &test.path;
        let message = format!("`{path}` is an empty range");
        problems.error(place, path, message, "exchange its ends".to_owned());
    }
    Some(Test::Between(from, to))
}

/// One end of a range: the first name includes its number, the second does not.
fn one_end(
    test: &Section<'_, '_>,
    [with, without]: [&str; 2],
    problems: &mut Problems<'_>,
) -> Bound<f64> {
    let mut read = |name: &str| {
        let value = test.raw(name)?;
        let found = number(value.get_ref());
        if found.is_none() {
            test.wrong_type(name, value, "a number", "write it without quotes", problems);
        }
        found
    };
    match (read(with), read(without)) {
        (Some(_), Some(_)) => {
            let place = test.raw(without).map_or(0..0, Spanned::span);
            let message = format!("stands beside `{with}`");
            test.bad(
                without,
                place,
                &message,
                "keep one of them".to_owned(),
                problems,
            );
            Bound::Unbounded
        }
        (Some(number), None) => Bound::Included(number),
        (None, Some(number)) => Bound::Excluded(number),
        (None, None) => Bound::Unbounded,
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// How the filter of a queue is called in messages.
pub fn filter_key(topic: &str, queue: &str) -> String {
    format!(
        "topic.{}.filter.{}",
        spelling::quoted(topic),
        spelling::quoted(queue)
    )
}
