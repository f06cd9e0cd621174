//! The parameters of an action, read leniently where clients differ and strictly where it matters.
//!
//! Numbers may be texts and the other way round, since one protocol knows only texts; `null` is nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::error::{Kind, SqsError};

/// The parameters of an action, or the members of an entry of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(pub Map<String, Value>);

impl Params {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, name: &str) -> Result<Option<&str>, SqsError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(other_type(name, "a string")),
        }
    }

    /// A text that has to be there; an empty one is not.
    ///
    /// # Errors
    /// When it is not there, or something else.
    pub fn need(&self, name: &str) -> Result<&str, SqsError> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| SqsError::missing(name))
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is something else.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, SqsError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(number) => Ok(Some(number)),
                // Out of every range there is.
                None if number.is_u64() || number.is_f64() => Err(SqsError::value(
                    &number.to_string(),
                    name,
                    "Must be a whole number.",
                )),
                None => Err(other_type(name, "an integer")),
            },
            Some(Value::String(text)) => match text.trim().parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(SqsError::value(text, name, "Must be a whole number.")),
            },
            Some(_) => Err(other_type(name, "an integer")),
        }
    }

    /// Texts. A single one may stand alone.
    ///
    /// # Errors
    /// When it is something else.
    pub fn list(&self, name: &str) -> Result<Vec<&str>, SqsError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            // How forms write an empty list.
            Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(items)) => items
                .iter()
                .filter(|item| !item.is_null())
                .map(|item| item.as_str().ok_or_else(|| other_type(name, "strings")))
                .collect(),
            Some(_) => Err(other_type(name, "a list of strings")),
        }
    }

    /// Whether the parameter is there at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Structures.
    ///
    /// # Errors
    /// When it is something else.
    pub fn entries(&self, name: &str) -> Result<Vec<Params>, SqsError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Value::Object(members) => Ok(Params(members.clone())),
                    _ => Err(other_type(name, "structures")),
                })
                .collect(),
            Some(_) => Err(other_type(name, "a list")),
        }
    }

    /// Names and texts; `None` if the parameter is not there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn pairs(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, SqsError> {
        let members = match self.get(name) {
            None => return Ok(None),
            Some(Value::Object(members)) => members,
            Some(Value::String(text)) if text.is_empty() => return Ok(Some(BTreeMap::new())),
            Some(_) => return Err(other_type(name, "a map")),
        };
        let pair = |(key, value): (&String, &Value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            Value::Null => Ok((key.clone(), String::new())),
            Value::Number(_) | Value::Bool(_) => Ok((key.clone(), value.to_string())),
            _ => Err(other_type(name, "a map of strings")),
        };
        members.iter().map(pair).collect::<Result<_, _>>().map(Some)
    }

    /// Names and structures.
    ///
    /// # Errors
    /// When it is something else.
    pub fn structures(&self, name: &str) -> Result<Vec<(String, Params)>, SqsError> {
        let members = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(other_type(name, "a map")),
        };
        let pair = |(key, value): (&String, &Value)| match value {
            Value::Object(members) => Ok((key.clone(), Params(members.clone()))),
            Value::Null => Ok((key.clone(), Params::default())),
            _ => Err(other_type(name, "a map of structures")),
        };
        members.iter().map(pair).collect()
    }

    /// Bytes, which both protocols write in base64.
    ///
    /// # Errors
    /// When they are something else.
    pub fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, SqsError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(text);
        bytes.map(Some).map_err(|_| other_type(name, "base64"))
    }
}

fn other_type(name: &str, wanted: &str) -> SqsError {
    let message = format!("The parameter {name} must be {wanted}.");
    SqsError::new(Kind::Serialization, message)
}
