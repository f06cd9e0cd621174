//! Attributes of a message: their limits, and how they are kept beside a message of Gristmill.
//!
//! A message has pairs of texts. The type of an attribute, if it is not plain text, stands in a pair of our
//! own whose name no SQS attribute can have; bytes are kept in base64. So handlers and the other front ends
//! see attributes under their own names.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gristmill_queue::Envelope;
use gristmill_queue::limits::RESERVED_ATTRIBUTE_PREFIX;
use serde_json::{Map, Value as Json};

use super::error::SqsError;
use super::params::Params;
use super::text::is_allowed;

/// All our own pairs begin so.
pub const OWN: &str = "sqs:";
/// The pair that has the types.
const TYPES: &str = "sqs:types";
/// What an attribute is unless it says otherwise.
const PLAIN: &str = "String";

/// The most attributes of a message.
pub const MAX_ATTRIBUTES: usize = 10;
/// The most characters of the name of an attribute, and of its type.
const MAX_NAME: usize = 256;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of `String` and `Number`.
    Text(String),
    /// Of `Binary`.
    Bytes(Vec<u8>),
}

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAttribute {
    /// Its name.
    pub name: String,
    /// `String`, `Number` or `Binary`, with a label behind a dot if there is one.
    pub data_type: String,
    /// Its value.
    pub value: Value,
}

impl MessageAttribute {
    /// Bytes that count against the limit of a message.
    #[must_use]
    pub fn size(&self) -> usize {
        let value = match &self.value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
        };
        self.name.len() + self.data_type.len() + value
    }

    /// How it is answered.
    #[must_use]
    pub fn json(&self) -> Json {
        let mut members = Map::new();
        members.insert("DataType".into(), self.data_type.as_str().into());
        match &self.value {
            Value::Text(text) => members.insert("StringValue".into(), text.as_str().into()),
            Value::Bytes(bytes) => {
                members.insert("BinaryValue".into(), STANDARD.encode(bytes).into())
            }
        };
        Json::Object(members)
    }

    fn read(name: String, given: &Params) -> Result<Self, SqsError> {
        check_name(&name)?;
        let data_type = given.text("DataType")?.unwrap_or_default().to_owned();
        let base = data_type.split('.').next().unwrap_or_default();
        if data_type.is_empty() {
            return Err(SqsError::parameter(format!(
                "The message attribute '{name}' must contain a non-empty message attribute type."
            )));
        }
        if !["String", "Number", "Binary"].contains(&base) || !is_typed(&data_type) {
            return Err(SqsError::parameter(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
            )));
        }
        if data_type.chars().count() > MAX_NAME {
            return Err(SqsError::parameter(format!(
                "The type of message attribute '{name}' must be shorter than {MAX_NAME} bytes."
            )));
        }
        let empty = || {
            SqsError::parameter(format!(
                "The message attribute '{name}' must contain a non-empty message attribute value for message attribute type '{data_type}'."
            ))
        };
        let value = if base == "Binary" {
            let bytes = given.bytes("BinaryValue")?;
            Value::Bytes(bytes.filter(|b| !b.is_empty()).ok_or_else(empty)?)
        } else {
            let text = given.text("StringValue")?.filter(|text| !text.is_empty());
            Value::Text(text.ok_or_else(empty)?.to_owned())
        };
        if let Value::Text(text) = &value {
            if !text.chars().all(is_allowed) {
                return Err(SqsError::parameter(format!(
                    "Invalid binary character was found in the value of message (user) attribute '{name}', the set of allowed characters is #x9 | #xA | #xD | [#x20 to #xD7FF] | [#xE000 to #xFFFD] | [#x10000 to #x10FFFF]"
                )));
            }
            if base == "Number" && !is_number(text) {
                return Err(SqsError::parameter(format!(
                    "Can't cast the value of message (user) attribute '{name}' to a number."
                )));
            }
        }
        Ok(MessageAttribute {
            name,
            data_type,
            value,
        })
    }
}

fn is_typed(data_type: &str) -> bool {
    data_type
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// A decimal number; words such as `inf` are none.
fn is_number(text: &str) -> bool {
    let digits = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    text.chars().all(digits) && text.parse::<f64>().is_ok()
}

/// Whether an attribute may have this name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| {
        c.is_ascii_alphanumeric() || "_.-".contains(c) || ('\u{c0}'..='\u{17f}').contains(&c)
    };
    (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(fits)
}

fn check_name(name: &str) -> Result<(), SqsError> {
    let refuse = |reason: &str| {
        let name: String = name.chars().take(MAX_NAME).collect();
        Err(SqsError::parameter(format!(
            "Message (user) attribute name '{name}' {reason}"
        )))
    };
    if name.is_empty() {
        return refuse("must not be empty.");
    }
    if name.chars().count() > MAX_NAME {
        return refuse("is too long: a name has at most 256 characters.");
    }
    if !is_name(name) {
        return refuse(
            "is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore (_), hyphen (-), and period (.) characters.",
        );
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return refuse("must not start or end with a period, nor have two of them in a row.");
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return refuse(
            "is invalid. You can't use message attribute names beginning with 'AWS.' or 'Amazon.', which are reserved.",
        );
    }
    if lower.starts_with(RESERVED_ATTRIBUTE_PREFIX) {
        return refuse("is reserved: names that begin with 'gristmill-' are the host's own.");
    }
    Ok(())
}

/// Reads the attributes of a message that is sent.
///
/// # Errors
/// When a limit is broken.
pub fn read(given: &Params, member: &str) -> Result<Vec<MessageAttribute>, SqsError> {
    let structures = given.structures(member)?;
    if structures.len() > MAX_ATTRIBUTES {
        return Err(SqsError::parameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            structures.len()
        )));
    }
    let mut read = Vec::with_capacity(structures.len());
    for (name, given) in structures {
        read.push(MessageAttribute::read(name, &given)?);
    }
    Ok(read)
}

/// Puts attributes on a message.
pub fn put(attributes: &[MessageAttribute], envelope: &mut Envelope) {
    let mut types = BTreeMap::new();
    for attribute in attributes {
        if attribute.data_type != PLAIN {
            types.insert(attribute.name.as_str(), attribute.data_type.as_str());
        }
        let value = match &attribute.value {
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => STANDARD.encode(bytes),
        };
        envelope.attributes.push((attribute.name.clone(), value));
    }
    if !types.is_empty()
        && let Ok(types) = serde_json::to_string(&types)
    {
        envelope.attributes.push((TYPES.to_owned(), types));
    }
}

/// The attributes of a message that are asked for, by name. The host's own are among them only if they are
/// asked for by name.
#[must_use]
pub fn take(envelope: &Envelope, wanted: &[&str]) -> Vec<MessageAttribute> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let types = envelope.attribute(TYPES).unwrap_or("{}");
    let types: BTreeMap<String, String> = serde_json::from_str(types).unwrap_or_default();
    let named = |name: &str| {
        let own = name.starts_with(RESERVED_ATTRIBUTE_PREFIX);
        !name.starts_with(OWN)
            && is_name(name)
            && wanted.iter().any(|wanted| is_wanted(name, wanted, own))
    };
    let attribute = |(name, value): &(String, String)| {
        let given = types.get(name).map_or(PLAIN, String::as_str);
        let decoded = given
            .starts_with("Binary")
            .then(|| STANDARD.decode(value).ok())
            .flatten();
        let (data_type, value) = match decoded {
            Some(bytes) => (given, Value::Bytes(bytes)),
            None if given.starts_with("Binary") => (PLAIN, Value::Text(value.clone())),
            None => (given, Value::Text(value.clone())),
        };
        MessageAttribute {
            name: name.clone(),
            data_type: data_type.to_owned(),
            value,
        }
    };
    let mut found: Vec<MessageAttribute> = envelope
        .attributes
        .iter()
        .filter(|(name, value)| named(name) && !value.is_empty())
        .map(attribute)
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn is_wanted(name: &str, wanted: &str, own: bool) -> bool {
    match wanted {
        "All" | "*" | ".*" => !own,
        prefix if prefix.ends_with(".*") => name.starts_with(&prefix[..prefix.len() - 2]),
        exact => name == exact,
    }
}
