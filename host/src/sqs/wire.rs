//! A request as it arrives, and which of the two protocols it speaks.
//!
//! The content type decides, never the header that names the action: an old client sends that header with a
//! form. Whatever comes in becomes one map, as the JSON protocol writes it.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::error::{Kind, SqsError};
use super::query;

/// The content type of the JSON protocol.
pub const JSON: &str = "application/x-amz-json-1.0";
/// The content type of the answers of the older protocol.
pub const XML: &str = "text/xml";

/// How deep JSON may be nested; no action needs more than five.
const MAX_DEPTH: usize = 16;

/// A request, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// Whether its method is GET.
    pub get: bool,
    /// The path of its address.
    pub path: String,
    /// What stands behind the `?` of its address.
    pub query: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `X-Amz-Target`.
    pub target: Option<String>,
    /// `Host`.
    pub host: Option<String>,
    /// `X-Amzn-Trace-Id`.
    pub trace: Option<String>,
    /// The region in the scope of its signature.
    pub region: Option<String>,
    /// From where it came, for the record.
    pub from: Option<String>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// Its body.
    pub body: Bytes,
}

/// The two ways to say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// AWS JSON 1.0.
    Json,
    /// Forms, answered in XML.
    Query,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The action.
    pub action: String,
    /// Its parameters, as the JSON protocol names them.
    pub members: Map<String, Value>,
    /// The queue in the path of the address, if there is one.
    pub queue_in_path: Option<String>,
}

impl Incoming {
    /// Which protocol it speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case(JSON) {
            Protocol::Json
        } else {
            Protocol::Query
        }
    }

    /// The queue in the path: its last part, if there are two.
    fn queue_in_path(&self) -> Option<String> {
        let mut parts = self.path.split('/').filter(|part| !part.is_empty());
        let (_account, queue) = (parts.next()?, parts.next_back()?);
        Some(queue.to_owned())
    }

    /// Reads what is asked for.
    ///
    /// # Errors
    /// When no action is named, or the body is not what it should be.
    pub fn call(&self) -> Result<Call, SqsError> {
        match self.protocol() {
            Protocol::Json => self.json_call(),
            Protocol::Query => self.query_call(),
        }
    }

    fn json_call(&self) -> Result<Call, SqsError> {
        let target = self.target.as_deref().unwrap_or_default();
        let action = target.rsplit('.').next().unwrap_or_default();
        if action.is_empty() {
            return Err(SqsError::new(
                Kind::MissingAction,
                "The request must name its action in the header X-Amz-Target.",
            ));
        }
        let malformed = |reason: &str| {
            let message = format!("The body is not a JSON object: {reason}");
            SqsError::new(Kind::Serialization, message)
        };
        let body: &[u8] = if self.body.is_empty() {
            b"{}"
        } else {
            &self.body
        };
        let value: Value =
            serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
        if depth(&value) > MAX_DEPTH {
            return Err(malformed("it is nested too deep"));
        }
        let Value::Object(members) = value else {
            return Err(malformed("it is something else"));
        };
        Ok(Call {
            action: action.to_owned(),
            members,
            queue_in_path: None,
        })
    }

    fn query_call(&self) -> Result<Call, SqsError> {
        let queue_in_path = self.queue_in_path();
        let form = query::Form::read(&self.query, &self.body)?;
        let Some(action) = form.action() else {
            if self.get && queue_in_path.is_some() {
                let message = "The address of a queue is not a page: send an Action to it.";
                return Err(SqsError::new(Kind::UnknownOperation, message));
            }
            return Err(SqsError::new(
                Kind::MissingAction,
                "The request must contain the parameter Action.",
            ));
        };
        if queue_in_path.is_some() && ["CreateQueue", "ListQueues"].contains(&action) {
            let message = format!("The action {action} is not valid for this endpoint.");
            return Err(SqsError::new(Kind::InvalidAction, message));
        }
        let action = action.to_owned();
        Ok(Call {
            members: form.members(&action),
            action,
            queue_in_path,
        })
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
