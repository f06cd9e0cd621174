//! Which dedup ids were seen, and until when they count.

use gristmill_queue::board::QueueId;
use gristmill_queue::{MessageId, NewMessage, Timestamp};
use redb::{ReadableTable, StorageError};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::xxh3_128;

use crate::check;
use crate::log::redo::Logged;
use crate::tlv::Malformed;

/// The message that was first sent with a dedup id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub id: MessageId,
    pub expires: Timestamp,
    pub body: u64,
}

/// The key of a dedup id in a queue.
pub(crate) fn key(queue: QueueId, dedup_id: &str) -> [u8; 20] {
    let mut key = [0; 20];
    key[..4].copy_from_slice(&queue.0.to_be_bytes());
    key[4..].copy_from_slice(&xxh3_128(dedup_id.as_bytes()).to_be_bytes());
    key
}

/// What stands for the content of a message that has no dedup id.
/// A large body comes with its digest.
pub(crate) fn content_key(
    queue: QueueId,
    message: &NewMessage,
    digest: Option<[u8; 32]>,
) -> [u8; 20] {
    let kind = message.envelope.content_type.as_deref().unwrap_or("");
    let mut hash = Sha256::new();
    hash.update((kind.len() as u64).to_le_bytes());
    hash.update(kind);
    hash.update(digest.unwrap_or_else(|| Sha256::digest(&message.body).into()));
    let mut key = [0; 20];
    key[..4].copy_from_slice(&queue.0.to_be_bytes());
    key[4..].copy_from_slice(&hash.finalize()[..16]);
    key
}

/// Reads and verifies the row of an id.
pub(crate) fn decode(key: &[u8; 20], sealed: &[u8]) -> Result<First, Malformed> {
    let value = check::open(check::key(key), sealed)?;
    let value: &[u8; 32] = value.try_into().map_err(|_| Malformed)?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&value[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let mut id = [0; 16];
    id.copy_from_slice(&value[8..24]);
    Ok(First {
        id: MessageId::from_bytes(id),
        expires: Timestamp::from_unix_ms(number(0)),
        body: number(24),
    })
}

/// The message first sent with this id, if that was within the window.
pub(crate) fn find(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8; 20],
    now: Timestamp,
) -> Result<Option<First>, StorageError> {
    let Some(stored) = table.get(key.as_slice())? else {
        return Ok(None);
    };
    let Ok(first) = decode(key, stored.value()) else {
        // Twice is better than never.
        tracing::error!("the row of a dedup id is damaged; its message may be accepted twice");
        return Ok(None);
    };
    // The window is half-open: at its very end the id is free again.
    Ok((first.expires > now).then_some(first))
}

/// Remembers an id.
pub(crate) fn insert(
    table: &mut Logged<'_, &'static [u8], &'static [u8]>,
    expiry: &mut Logged<'_, (u64, &'static [u8]), ()>,
    key: &[u8; 20],
    first: First,
) -> Result<(), StorageError> {
    let mut value = [0; 32];
    value[..8].copy_from_slice(&first.expires.unix_ms().to_le_bytes());
    value[8..24].copy_from_slice(&first.id.to_bytes());
    value[24..].copy_from_slice(&first.body.to_le_bytes());
    let mut value = value.to_vec();
    check::seal(check::key(key), &mut value);
    table.insert(key.as_slice(), value.as_slice())?;
    expiry.insert((first.expires.unix_ms(), key.as_slice()), ())?;
    Ok(())
}

/// Forgets ids of a queue, at most `most` of them. Says how many there were. What tells when they end stays
/// behind, and then finds nothing.
pub(crate) fn forget_queue(
    table: &mut Logged<'_, &'static [u8], &'static [u8]>,
    queue: QueueId,
    most: usize,
) -> Result<usize, StorageError> {
    let (mut first, mut last) = ([0; 20], [u8::MAX; 20]);
    for edge in [&mut first, &mut last] {
        edge[..4].copy_from_slice(&queue.0.to_be_bytes());
    }
    let mut keys = Vec::new();
    for entry in table.range(first.as_slice()..=last.as_slice())?.take(most) {
        keys.push(entry?.0.value().to_vec());
    }
    for key in &keys {
        table.remove(key.as_slice())?;
    }
    Ok(keys.len())
}

/// Forgets ids whose window has ended, at most `most` of them. Says how many there were.
pub(crate) fn forget(
    table: &mut Logged<'_, &'static [u8], &'static [u8]>,
    expiry: &mut Logged<'_, (u64, &'static [u8]), ()>,
    now: Timestamp,
    most: usize,
) -> Result<usize, StorageError> {
    let mut ended = Vec::new();
    for entry in expiry
        .range((0, [].as_slice())..(now.unix_ms() + 1, [].as_slice()))?
        .take(most)
    {
        let (entry, _) = entry?;
        let (expires, key) = entry.value();
        ended.push((expires, key.to_vec()));
    }
    for (expires, key) in &ended {
        expiry.remove((*expires, key.as_slice()))?;
        // The id may have been used again since; then its row has a later end.
        let stale = table
            .get(key.as_slice())?
            .is_some_and(|row| row.value().starts_with(&expires.to_le_bytes()));
        if stale {
            table.remove(key.as_slice())?;
        }
    }
    Ok(ended.len())
}
