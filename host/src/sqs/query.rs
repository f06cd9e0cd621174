//! The older protocol's requests: a form, whose names tell of lists and maps, into one map as JSON has it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::error::{Kind, SqsError};

/// The most fields of a form. A batch of ten messages with ten attributes each has some 400.
const MAX_FIELDS: usize = 2000;
/// The most parts of a name.
const MAX_PARTS: usize = 8;

/// Fields that stand for a list of texts, and what JSON calls it.
const LISTS: [(&str, &str); 6] = [
    ("AttributeName", "AttributeNames"),
    ("MessageAttributeName", "MessageAttributeNames"),
    ("MessageSystemAttributeName", "MessageSystemAttributeNames"),
    ("TagKey", "TagKeys"),
    ("AWSAccountId", "AWSAccountIds"),
    ("ActionName", "Actions"),
];

/// Fields that stand for a list of structures.
const ENTRIES: [&str; 3] = [
    "SendMessageBatchRequestEntry",
    "DeleteMessageBatchRequestEntry",
    "ChangeMessageVisibilityBatchRequestEntry",
];

/// Fields that stand for attributes of a message, and what JSON calls them.
const MESSAGE_ATTRIBUTES: [(&str, &str); 2] = [
    ("MessageAttribute", "MessageAttributes"),
    ("MessageSystemAttribute", "MessageSystemAttributes"),
];

/// A part of a form: what stands under a name, and under the names that go on from it.
#[derive(Default)]
struct Node {
    value: Option<String>,
    under: BTreeMap<String, Node>,
}

/// A form.
pub struct Form(Node);

impl Form {
    /// Reads the fields of an address and of a body.
    ///
    /// # Errors
    /// When there are too many.
    pub fn read(query: &str, body: &Bytes) -> Result<Self, SqsError> {
        let fields = form_urlencoded::parse(query.as_bytes());
        let mut root = Node::default();
        let mut count = 0;
        for (name, value) in fields.chain(form_urlencoded::parse(body)) {
            count += 1;
            let parts = name.split('.').count();
            if count > MAX_FIELDS || parts > MAX_PARTS {
                let message = format!(
                    "A request has at most {MAX_FIELDS} fields, whose names have at most {MAX_PARTS} parts."
                );
                return Err(SqsError::new(Kind::InvalidParameterValue, message));
            }
            let place = name.split('.').fold(&mut root, |node, part| {
                node.under.entry(part.to_owned()).or_default()
            });
            place.value = Some(value.into_owned());
        }
        Ok(Form(root))
    }

    /// What is asked for.
    #[must_use]
    pub fn action(&self) -> Option<&str> {
        let action = self.0.under.get("Action")?.value.as_deref();
        action.filter(|action| !action.is_empty())
    }

    /// The fields as members of a JSON object.
    #[must_use]
    pub fn members(&self, action: &str) -> Map<String, Value> {
        self.0.members(action)
    }
}

impl Node {
    fn members(&self, action: &str) -> Map<String, Value> {
        let mut members = Map::new();
        for (name, node) in &self.under {
            let name = name.as_str();
            if let Some((_, to)) = LISTS.iter().find(|(from, _)| *from == name) {
                let texts = node.items().filter_map(Node::text).map(Value::from);
                members.insert((*to).to_owned(), texts.collect());
            } else if let Some((_, to)) = MESSAGE_ATTRIBUTES.iter().find(|(from, _)| *from == name)
            {
                let value = |node: &Node| Some(node.under.get("Value")?.structure(action));
                members.insert((*to).to_owned(), node.map("Name", value));
            } else if ENTRIES.contains(&name) {
                let entries = node.items().map(|entry| entry.structure(action));
                members.insert("Entries".to_owned(), entries.collect());
            } else if name == "Attribute" {
                let value = |node: &Node| node.field("Value").map(Value::from);
                members.insert("Attributes".to_owned(), node.map("Name", value));
            } else if name == "Tag" || name == "Tags" {
                // The one action whose member begins with a small letter.
                let to = if action == "CreateQueue" {
                    "tags"
                } else {
                    "Tags"
                };
                let value = |node: &Node| node.field("Value").map(Value::from);
                members.insert(to.to_owned(), node.map("Key", value));
            } else if let Some(text) = node.text() {
                members.insert(name.to_owned(), Value::from(text));
            }
        }
        members
    }

    fn structure(&self, action: &str) -> Value {
        Value::Object(self.members(action))
    }

    fn text(&self) -> Option<&str> {
        self.value.as_deref()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.under.get(name)?.text()
    }

    /// The members of a list in the order of their numbers. One that stands alone may have none.
    fn items(&self) -> impl Iterator<Item = &Node> {
        let mut numbered: Vec<(u64, &Node)> = self
            .under
            .iter()
            .filter_map(|(part, node)| Some((part.parse().ok()?, node)))
            .collect();
        numbered.sort_by_key(|&(number, _)| number);
        let alone = numbered.is_empty().then_some(self);
        alone
            .into_iter()
            .chain(numbered.into_iter().map(|(_, node)| node))
    }

    fn map(&self, key: &str, value: impl Fn(&Node) -> Option<Value>) -> Value {
        let entries = self.items().filter_map(|item| {
            let name = item.field(key)?.to_owned();
            Some((name, value(item).unwrap_or(Value::Null)))
        });
        Value::Object(entries.collect())
    }
}
