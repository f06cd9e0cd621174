use gristmill_queue::Envelope;
use serde_json::json;

use crate::sqs::attribute::{self, MessageAttribute, Value};
use crate::sqs::digest;
use crate::sqs::params::Params;

fn one(name: &str, data_type: &str, value: Value) -> MessageAttribute {
    MessageAttribute {
        name: name.into(),
        data_type: data_type.into(),
        value,
    }
}

/// The sums were computed apart from this code, by hashing what the rule says with another program.
#[test]
fn sums_are_those_of_the_rule() {
    assert_eq!(digest::of_body("hello"), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(digest::of_body(""), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(digest::of_attributes([]), None);
    let text = one("text", "String", Value::Text("ü".into()));
    let number = one("count", "Number.int", Value::Text("42".into()));
    let bytes = one("blob", "Binary", Value::Bytes(vec![0, 255, 16]));
    let sum = |attributes: &[&MessageAttribute]| digest::of_attributes(attributes.iter().copied());
    assert_eq!(sum(&[&text]).unwrap(), TEXT);
    assert_eq!(sum(&[&bytes]).unwrap(), BYTES);
    assert_eq!(sum(&[&text, &number, &bytes]).unwrap(), ALL);
    assert_eq!(sum(&[&bytes, &text, &number]).unwrap(), ALL);
}

const TEXT: &str = "6b398196f9938c436ea4afd20ea83d90";
const BYTES: &str = "06e1d66b5af1e0dbdbe3a8a4bfdd6115";
const ALL: &str = "98836f77215a0f3c0413f022534a978d";

#[test]
fn attributes_come_back_as_they_were_sent() {
    let given = json!({ "MessageAttributes": {
        "text": { "DataType": "String", "StringValue": "rot" },
        "grün.1": { "DataType": "String.colour", "StringValue": "x" },
        "count": { "DataType": "Number", "StringValue": "-1.5e3" },
        "blob": { "DataType": "Binary", "BinaryValue": "AP8Q" },
    } });
    let params = Params(given.as_object().unwrap().clone());
    let mut sent = attribute::read(&params, "MessageAttributes").unwrap();
    let mut envelope = Envelope::default();
    attribute::put(&sent, &mut envelope);
    // Handlers see them under their names.
    assert_eq!(envelope.attribute("text"), Some("rot"));
    assert_eq!(envelope.attribute("blob"), Some("AP8Q"));
    envelope.stamp("gristmill-dead-queue", "orders");
    sent.sort_by(|a, b| a.name.cmp(&b.name));
    for all in ["All", "*", ".*"] {
        assert_eq!(attribute::take(&envelope, &[all]), sent);
    }
    let names = |wanted: &[&str]| -> Vec<String> {
        let taken = attribute::take(&envelope, wanted);
        taken.into_iter().map(|one| one.name).collect()
    };
    assert_eq!(names(&["co.*", "text"]), ["count", "text"]);
    assert_eq!(names(&["gristmill-dead-queue"]), ["gristmill-dead-queue"]);
    assert_eq!(names(&["sqs:types"]), [] as [&str; 0]);
    assert_eq!(names(&[]), [] as [&str; 0]);
}

#[test]
fn what_breaks_a_limit_is_refused_by_name() {
    let text = json!({ "DataType": "String", "StringValue": "x" });
    let table = [
        ("a b", text.clone(), "a b"),
        (".a", text.clone(), "period"),
        ("a.", text.clone(), "period"),
        ("AWS.a", text.clone(), "reserved"),
        ("amazon.a", text.clone(), "reserved"),
        ("Gristmill-a", text, "reserved"),
        (
            "a",
            json!({ "StringValue": "x" }),
            "non-empty message attribute type",
        ),
        (
            "a",
            json!({ "DataType": "Text", "StringValue": "x" }),
            "invalid message attribute type",
        ),
        (
            "a",
            json!({ "DataType": "String" }),
            "non-empty message attribute value",
        ),
        (
            "a",
            json!({ "DataType": "Binary", "StringValue": "x" }),
            "non-empty message attribute value",
        ),
        (
            "a",
            json!({ "DataType": "Binary", "BinaryValue": "%" }),
            "base64",
        ),
        (
            "a",
            json!({ "DataType": "Number", "StringValue": "NaN" }),
            "to a number",
        ),
        (
            "a",
            json!({ "DataType": "Number", "StringValue": "0x1" }),
            "to a number",
        ),
        (
            "a",
            json!({ "DataType": "String", "StringValue": "\u{1}" }),
            "Invalid binary character",
        ),
        ("a", json!(5), "structures"),
    ];
    for (name, attribute, words) in table {
        let given = json!({ "MessageAttributes": { name: attribute } });
        let params = Params(given.as_object().unwrap().clone());
        let error = attribute::read(&params, "MessageAttributes").unwrap_err();
        assert!(error.message.contains(words), "{name}: {error}");
    }
}
