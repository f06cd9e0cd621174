//! The older protocol's answers: a JSON-shaped value written as XML.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::error::SqsError;

/// The namespace of every answer.
const SPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";
/// The namespace of the one action that is not of SQS.
const STS_SPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Actions that answer nothing, not even an empty result.
const SILENT: [&str; 9] = [
    "AddPermission",
    "RemovePermission",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "DeleteQueue",
    "PurgeQueue",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
];

/// Writes what an action answers.
#[must_use]
pub fn answer(action: &str, members: &Map<String, Value>, request_id: &str) -> String {
    let space = if action == "GetCallerIdentity" {
        STS_SPACE
    } else {
        SPACE
    };
    let mut xml = String::from("<?xml version=\"1.0\"?>");
    let _ = write!(xml, "<{action}Response xmlns=\"{space}\">");
    if !SILENT.contains(&action) {
        if members.is_empty() {
            let _ = write!(xml, "<{action}Result/>");
        } else {
            let _ = write!(xml, "<{action}Result>");
            write_members(&mut xml, action, members);
            let _ = write!(xml, "</{action}Result>");
        }
    }
    let _ = write!(
        xml,
        "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    );
    xml
}

/// Writes why a request is refused.
#[must_use]
pub fn error(error: &SqsError, request_id: &str) -> String {
    let blamed = if error.kind.of_sender() {
        "Sender"
    } else {
        "Receiver"
    };
    // A client that looks for an operation by its name in the text finds it.
    let code = error.kind.code();
    let mut xml = String::from("<?xml version=\"1.0\"?>");
    let _ = write!(
        xml,
        "<ErrorResponse xmlns=\"{SPACE}\"><Error><Type>{blamed}</Type><Code>{code}</Code><Message>"
    );
    escape(&mut xml, &error.message);
    let _ = write!(
        xml,
        "</Message><Detail/></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    );
    xml
}

fn write_members(xml: &mut String, action: &str, members: &Map<String, Value>) {
    for (name, value) in members {
        match (name.as_str(), value) {
            ("QueueUrls" | "queueUrls", Value::Array(urls)) => {
                urls.iter().for_each(|url| leaf(xml, "QueueUrl", url));
            }
            ("Attributes", Value::Object(pairs)) => {
                write_pairs(xml, "Attribute", "Name", pairs);
            }
            ("Tags", Value::Object(pairs)) => write_pairs(xml, "Tag", "Key", pairs),
            ("MessageAttributes", Value::Object(attributes)) => {
                for (name, value) in attributes {
                    xml.push_str("<MessageAttribute>");
                    leaf(xml, "Name", &Value::from(name.as_str()));
                    element(xml, "Value", action, value);
                    xml.push_str("</MessageAttribute>");
                }
            }
            ("Messages", Value::Array(items)) => each(xml, "Message", action, items),
            ("Failed", Value::Array(items)) => each(xml, "BatchResultErrorEntry", action, items),
            ("Successful" | "Results", Value::Array(items)) => {
                each(xml, &format!("{action}ResultEntry"), action, items);
            }
            (name, value) => element(xml, name, action, value),
        }
    }
}

fn each(xml: &mut String, name: &str, action: &str, items: &[Value]) {
    for item in items {
        element(xml, name, action, item);
    }
}

fn element(xml: &mut String, name: &str, action: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            let _ = write!(xml, "<{name}>");
            write_members(xml, action, members);
            let _ = write!(xml, "</{name}>");
        }
        Value::Array(items) => each(xml, name, action, items),
        value => leaf(xml, name, value),
    }
}

fn write_pairs(xml: &mut String, name: &str, key: &str, pairs: &Map<String, Value>) {
    for (pair, value) in pairs {
        let _ = write!(xml, "<{name}>");
        leaf(xml, key, &Value::from(pair.as_str()));
        leaf(xml, "Value", value);
        let _ = write!(xml, "</{name}>");
    }
}

fn leaf(xml: &mut String, name: &str, value: &Value) {
    let _ = write!(xml, "<{name}>");
    match value {
        Value::String(text) => escape(xml, text),
        Value::Null => {}
        other => escape(xml, &other.to_string()),
    }
    let _ = write!(xml, "</{name}>");
}

/// A bare carriage return would be read as a line feed, so it is written as a reference.
fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#xD;"),
            c => xml.push(c),
        }
    }
}
