//! What all batches have in common: entries with ids, and an answer for each.

use serde_json::{Map, Value, json};

use crate::sqs::error::{Answer, Kind, SqsError};
use crate::sqs::params::Params;
use crate::sqs::{Ask, text};

/// The most entries of a batch.
const MOST: usize = 10;

/// The entries of a batch, with their ids.
///
/// # Errors
/// When there are none or too many, or their ids are not what they should be.
pub fn entries(ask: &Ask<'_>, kind: &str) -> Result<Vec<(String, Params)>, SqsError> {
    let entries = ask.params.entries("Entries")?;
    if entries.is_empty() {
        let message =
            format!("There should be at least one {kind}BatchRequestEntry in the request.");
        return Err(SqsError::new(Kind::EmptyBatchRequest, message));
    }
    if entries.len() > MOST {
        let message = format!(
            "Maximum number of entries per request are {MOST}. You have sent {}.",
            entries.len()
        );
        return Err(SqsError::new(Kind::TooManyEntriesInBatchRequest, message));
    }
    let mut named: Vec<(String, Params)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = entry.text("Id")?.unwrap_or_default().to_owned();
        text::check_entry_id(&id)?;
        if named.iter().any(|(earlier, _)| *earlier == id) {
            let message = format!("Id {id} repeated.");
            return Err(SqsError::new(Kind::BatchEntryIdsNotDistinct, message));
        }
        named.push((id, entry));
    }
    Ok(named)
}

/// What became of the entries of a batch, in their order.
#[derive(Default)]
pub struct Outcome {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Outcome {
    /// Notes what became of an entry.
    pub fn note(&mut self, id: String, done: Result<Map<String, Value>, SqsError>) {
        match done {
            Ok(mut members) => {
                members.insert("Id".to_owned(), id.into());
                self.successful.push(members.into());
            }
            Err(error) => self.failed.push(json!({
                "Id": id,
                "SenderFault": error.kind.of_sender(),
                "Code": error.kind.code(),
                "Message": error.message,
            })),
        }
    }

    /// The answer. Lists without entries are left out.
    pub fn answer(self) -> Answer {
        let mut answer = Map::new();
        for (name, list) in [("Successful", self.successful), ("Failed", self.failed)] {
            if !list.is_empty() {
                answer.insert(name.to_owned(), list.into());
            }
        }
        Ok(answer)
    }
}
