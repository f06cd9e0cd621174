//! Queues that were made while a host ran: their definitions, as those who made them wrote them down.
//!
//! A row is the text of the definition and a checksum, under the name of the queue. What the text means is
//! for the host to say.

use gristmill_queue::board::QueueView;
use gristmill_queue::{QueueName, QueuePolicy};
use redb::{ReadableTable, StorageError};
use tokio::sync::oneshot;

use crate::error::guarded;
use crate::ops::{Make, Op};
use crate::tables::MADE;
use crate::tlv::Malformed;
use crate::{AdminError, Declaration, Store, check};

/// Says what a definition declares; nothing, if it cannot be used.
pub type ReadMade = Box<dyn Fn(&QueueName, &str) -> Option<QueuePolicy> + Send>;

/// Writes the row of a queue.
pub(crate) fn encode(name: &str, definition: &str) -> Vec<u8> {
    let mut row = definition.as_bytes().to_vec();
    check::seal(check::key(name.as_bytes()), &mut row);
    row
}

/// Reads and verifies the row of the queue of that name.
pub(crate) fn decode<'r>(name: &str, sealed: &'r [u8]) -> Result<&'r str, Malformed> {
    let row = check::open(check::key(name.as_bytes()), sealed)?;
    std::str::from_utf8(row).map_err(|_| Malformed)
}

/// All definitions that are sound, by name.
pub(crate) fn all(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Vec<(QueueName, String)>, StorageError> {
    let mut made = Vec::new();
    for row in table.iter()? {
        let (name, row) = row?;
        let name = name.value();
        match (QueueName::new(name), decode(name, row.value())) {
            (Ok(name), Ok(definition)) => made.push((name, definition.to_owned())),
            _ => tracing::error!(
                queue = name,
                "the definition of a queue that was made at run time is damaged: its messages wait until it is made again"
            ),
        }
    }
    Ok(made)
}

impl Store {
    /// Makes a queue, or changes what was made; durable when this returns. What was kept under its name
    /// while it was not declared is in it.
    ///
    /// # Errors
    /// When a topic has that name, or there are too many; or when the store closed meanwhile, and it is
    /// not known whether it was made.
    pub async fn make(
        &self,
        declaration: Declaration,
        definition: String,
    ) -> Result<(), AdminError> {
        self.ask(|reply: oneshot::Sender<_>| {
            Op::Make(Box::new(Make {
                declaration,
                definition,
                reply,
            }))
        })
        .await?
    }

    /// Deletes a queue that was made, with all that is in it. The name is free when this returns; what is
    /// left goes by and by, also after a restart. Attempts that run go on, and their messages end with them.
    ///
    /// # Errors
    /// When it was not made at run time.
    pub async fn unmake(&self, name: QueueName) -> Result<(), AdminError> {
        self.ask(|reply| Op::Unmake { name, reply }).await?
    }

    /// One queue as it is now; nothing, if there is none.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn view(&self, queue: QueueName) -> Result<Option<QueueView>, AdminError> {
        self.ask(|reply| Op::View { queue, reply }).await
    }

    /// The definitions of all queues that were made at run time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn made(&self) -> Result<Vec<(QueueName, String)>, AdminError> {
        guarded(|| {
            let transaction = self.database()?;
            let transaction = redb::ReadableDatabase::begin_read(&**transaction)?;
            Ok(all(&transaction.open_table(MADE)?)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_reads_back_and_damage_is_found() {
        let row = encode("orders", "{\"ttl\":\"4d\"}");
        assert_eq!(decode("orders", &row), Ok("{\"ttl\":\"4d\"}"));
        assert_eq!(decode("invoices", &row), Err(Malformed));
        for i in 0..row.len() {
            let mut damaged = row.clone();
            damaged[i] ^= 2;
            assert_eq!(decode("orders", &damaged), Err(Malformed), "byte {i}");
        }
    }
}
