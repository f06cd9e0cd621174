use super::*;
use gristmill_sdk::Value;
use gristmill_sdk::testing::Delivery;

fn order() -> Value {
    json!({
        "id": "o-1", "customer": "ada", "currency": "EUR",
        "lines": [
            { "sku": "mill", "quantity": 2, "unit_price_cents": 1250 },
            { "sku": "sack", "quantity": 1, "unit_price_cents": 5 },
        ],
    })
}

fn with(change: impl FnOnce(&mut Value)) -> Message {
    let mut order = order();
    change(&mut order);
    Message::with_json(&order)
}

#[test]
fn an_order_becomes_an_invoice_a_notification_and_a_total() {
    let mut delivery = Delivery::new();
    delivery.allow("invoices").allow("notifications");
    for expected in 1..=2 {
        assert_eq!(delivery.run(handle, with(|_| ())), Ok(()));
        assert_eq!(delivery.counter("customer/ada/orders"), expected);
        assert_eq!(delivery.counter("customer/ada/cents"), expected * 2505);
    }
    let invoice = &delivery.sent()[0];
    assert_eq!(
        (invoice.to.as_str(), invoice.message.group.as_deref()),
        ("invoices", Some("ada"))
    );
    let expected = json!({ "order": "o-1", "customer": "ada", "cents": 2505, "currency": "EUR" });
    assert_eq!(invoice.json::<Value>(), expected);
    let expected = json!({ "customer": "ada", "text": "Order o-1: 25.05 EUR" });
    assert_eq!(delivery.sent()[1].json::<Value>(), expected);
}

#[test]
fn an_order_that_cannot_be_right_is_rejected_and_leaves_no_trace() {
    let table = [
        (Message::with_text("{\"id\":"), "EOF"),
        (Message::with_text("[]"), "not the JSON"),
        (with(|o| o["customer"] = Value::Null), "invalid type: null"),
        (with(|o| o["lines"] = json!([])), "no lines"),
        (
            with(|o| o["lines"][0]["quantity"] = json!(0)),
            "line mill: 0 pieces",
        ),
        (
            with(|o| o["lines"][1]["unit_price_cents"] = json!(-5)),
            "at -5 cents",
        ),
        (
            with(|o| o["lines"][0]["unit_price_cents"] = json!(i64::MAX)),
            "too large",
        ),
        (
            with(|o| o["currency"] = json!("XAU")),
            "unknown currency \"XAU\"",
        ),
    ];
    for (message, expected) in table {
        let mut delivery = Delivery::new();
        let failure = delivery.run(handle, message).unwrap_err();
        assert!(matches!(failure, Failure::Reject { .. }), "{failure}");
        assert!(
            failure.to_string().contains(expected),
            "{failure} should contain {expected}"
        );
        assert!(delivery.sent().is_empty() && delivery.keys().next().is_none());
    }
}

#[test]
fn a_gateway_that_is_down_is_a_retry_and_the_third_attempt_counts_once() {
    let mut delivery = Delivery::new();
    let flaky = with(|o| o["flaky"] = json!(2));
    for attempt in 1..=2 {
        let failure = delivery
            .run(handle, flaky.clone().with_attempt(attempt))
            .unwrap_err();
        assert!(matches!(failure, Failure::Retry { .. }), "{failure}");
    }
    assert_eq!(delivery.run(handle, flaky.with_attempt(3)), Ok(()));
    assert_eq!(delivery.counter("customer/ada/orders"), 1);
    assert_eq!(delivery.sent().len(), 2);
}
