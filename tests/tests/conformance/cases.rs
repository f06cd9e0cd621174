//! The messages, and what has to become of each.

use serde_json::{Value, json};

/// How a message ends.
pub enum End {
    Done,
    Dead {
        /// The host's word, or `any`.
        reason: &'static str,
        /// What the dead letter has to tell.
        says: Vec<String>,
    },
}

/// A message that is sent because of another.
pub struct Effect {
    pub to: &'static str,
    /// JSON, or a text, or bytes in base64.
    pub body: Value,
    /// What its envelope says.
    pub envelope: Vec<(&'static str, Value)>,
}

/// A message, and what becomes of it.
pub struct Case {
    pub name: &'static str,
    /// As the API takes it.
    pub message: Value,
    pub end: End,
    pub effects: Vec<Effect>,
}

const MILL: &str = r#"{"sku":"mill","quantity":2,"unit_price_cents":1250}"#;
const SACK: &str = r#"{"sku":"sack","quantity":1,"unit_price_cents":5}"#;
const UNICODE: &str = "Zoë–数/🦀";
/// Lines of the order that has more than 1 MiB.
const MANY: usize = 16_000;

fn order(id: &str, customer: &str, currency: &str, lines: &str, rest: &str) -> String {
    format!(
        r#"{{"id":"{id}","customer":"{customer}","currency":"{currency}","lines":[{lines}]{rest}}}"#
    )
}

/// The invoice and the notification of an order that is fine.
fn accepted(id: &str, customer: &str, currency: &str, cents: i64) -> Vec<Effect> {
    let text = format!("Order {id}: {}.{:02} {currency}", cents / 100, cents % 100);
    let json = || ("content_type", json!("application/json"));
    vec![
        Effect {
            to: "invoices",
            body: json!({ "order": id, "customer": customer, "cents": cents, "currency": currency }),
            envelope: vec![json(), ("group", json!(customer))],
        },
        Effect {
            to: "notifications",
            body: json!({ "customer": customer, "text": text }),
            envelope: vec![json(), ("group", Value::Null)],
        },
    ]
}

fn done(name: &'static str, body: &str, effects: Vec<Effect>) -> Case {
    Case {
        name,
        message: json!({ "body": body }),
        end: End::Done,
        effects,
    }
}

fn rejected(name: &'static str, body: &str, says: &str) -> Case {
    dead(name, json!({ "body": body }), "rejected", &[says])
}

fn dead(name: &'static str, message: Value, reason: &'static str, says: &[&str]) -> Case {
    Case {
        name,
        message,
        end: End::Dead {
            reason,
            says: says.iter().map(|text| (*text).to_owned()).collect(),
        },
        effects: Vec::new(),
    }
}

/// What the state counts after all orders.
pub fn counters() -> Vec<(String, i64)> {
    let many = i64::try_from(MANY).unwrap();
    let counted = [
        ("ada", 2, 2505 + 5),
        ("blaise", 1, 5 * many),
        (UNICODE, 1, 2500),
    ];
    counted
        .iter()
        .flat_map(|(customer, orders, cents)| {
            let key = |what: &str| format!("customer/{customer}/{what}");
            [(key("orders"), *orders), (key("cents"), *cents)]
        })
        .collect()
}

/// For `orders`; `traced` is what is told of an ordinary error beside its words.
pub fn orders(traced: &[&str]) -> Vec<Case> {
    let both = format!("{MILL},{SACK}");
    let plain = |lines: &str| order("o-1", "ada", "EUR", lines, "");
    let line =
        |change: &str| plain(&MILL.replacen("\"quantity\":2,\"unit_price_cents\":1250", change, 1));
    let many = vec![SACK; MANY].join(",");
    let cents = 5 * i64::try_from(MANY).unwrap();
    let down = "payment gateway: 503 Service Unavailable for order o-5";
    let mut cases = vec![
        done(
            "a good order",
            &plain(&both),
            accepted("o-1", "ada", "EUR", 2505),
        ),
        done(
            "a gateway that is down at first",
            &order("o-2", "ada", "USD", SACK, r#","flaky":2"#),
            accepted("o-2", "ada", "USD", 5),
        ),
        done(
            "an order of 1 MiB",
            &order("o-3", "blaise", "CHF", &many, ""),
            accepted("o-3", "blaise", "CHF", cents),
        ),
        done(
            "an order with all sorts of letters",
            &order("o-4", UNICODE, "GBP", MILL, ""),
            accepted("o-4", UNICODE, "GBP", 2500),
        ),
        dead(
            "a gateway that stays down",
            json!({ "body": order("o-5", "ada", "EUR", &both, r#","flaky":99"#) }),
            "retry",
            &[&[down], traced].concat(),
        ),
        rejected(
            "another currency",
            &order("o-6", "ada", "XAU", &both, ""),
            "unknown currency \"XAU\": use one of EUR USD GBP CHF",
        ),
        rejected(
            "a currency in small letters",
            &order("o-7", "ada", "eur", &both, ""),
            "\"eur\"",
        ),
        rejected("no lines", &plain(""), "the order has no lines"),
        rejected(
            "no pieces",
            &line(r#""quantity":0,"unit_price_cents":1250"#),
            "line mill: 0 pieces at 1250 cents",
        ),
        rejected(
            "less than nothing to pay",
            &line(r#""quantity":2,"unit_price_cents":-5"#),
            "line mill: 2 pieces at -5 cents",
        ),
        rejected(
            "too much to pay",
            &line(r#""quantity":2,"unit_price_cents":9000000000000000000"#),
            "the total is too large",
        ),
        rejected(
            "pieces below zero",
            &line(r#""quantity":-3,"unit_price_cents":1250"#),
            "",
        ),
        rejected(
            "pieces in words",
            &line(r#""quantity":"two","unit_price_cents":1250"#),
            "",
        ),
        rejected("no id", &plain(&both).replacen(r#""id":"o-1","#, "", 1), ""),
        rejected(
            "no customer",
            &plain(&both).replacen("\"ada\"", "null", 1),
            "",
        ),
        rejected("an order cut short", &plain(&both)[..40], ""),
        rejected("no JSON", "id;customer;currency;sku;quantity", ""),
        rejected("other JSON", "[]", ""),
        rejected("an empty body", "", ""),
    ];
    cases.push(dead(
        "bytes that are no text",
        json!({ "body_base64": "/wD+gA==" }),
        "rejected",
        &[],
    ));
    // Whatever is attached to it makes no difference to an order.
    cases[0].message["attributes"] = json!({ "naïve ключ": "数 🦀", "empty": "" });
    cases
}

fn echoed(name: &'static str, mut message: Value) -> Case {
    message["type"] = json!("echo");
    let given = |name: &str| message.get(name).cloned().unwrap_or_default();
    let body = message.get("body").or(message.get("body_base64"));
    let effect = Effect {
        to: "echoes",
        body: body.cloned().unwrap_or_default(),
        envelope: ["content_type", "attributes", "group", "correlation_id"]
            .map(|field| (field, given(field)))
            .into_iter()
            .filter(|(field, value)| !value.is_null() || *field != "attributes")
            .collect(),
    };
    Case {
        name,
        message,
        end: End::Done,
        effects: vec![effect],
    }
}

/// For `probe`; `crash` is what is told of a mistake that nobody handled.
pub fn probe(crash: &[&str]) -> Vec<Case> {
    let fails = "the probe fails, as it was asked to";
    vec![
        echoed(
            "a body and all about it",
            json!({
                "body": "Grüße, 世界 🦀\n", "content_type": "text/x-greeting",
                "attributes": { "naïve ключ": "数 🦀", "empty": "", "z": "1", "a": "2" },
                "group": UNICODE, "correlation_id": "c–1",
            }),
        ),
        echoed("an empty body", json!({ "body": "" })),
        echoed(
            "bytes that are no text",
            json!({ "body_base64": "AAH+/4CAwMHt8PH/" }),
        ),
        echoed(
            "a body of 1 MiB",
            json!({ "body": "ein Mebibyte – ".repeat(64 * 1024) }),
        ),
        dead(
            "an ordinary error",
            json!({ "body": "x", "type": "fail" }),
            "retry",
            &[fails],
        ),
        dead(
            "a mistake that nobody handles",
            json!({ "body": "x", "type": "crash" }),
            "any",
            crash,
        ),
    ]
}
