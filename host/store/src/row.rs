//! The index row of a message: what changes with its attempts, in 80 bytes.
//!
//! Rows are all that is read at start-up to rebuild the ready order. Each carries 32 bits of a
//! checksum over itself and its key.

use gristmill_queue::board::{QueueId, Row};
use gristmill_queue::key::KeyHash;
use gristmill_queue::message::Priority;
use gristmill_queue::ready::Place;
use gristmill_queue::{Counters, Timestamp};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::tlv::Malformed;

const VERSION: u8 = 1;
const GROUPED: u8 = 1;
const EXPIRES: u8 = 2;
const SUSPECT: u8 = 4;

/// Bytes of a row.
pub(crate) const ROW_BYTES: usize = 80;

/// Writes a row.
pub(crate) fn encode(row: &Row) -> [u8; ROW_BYTES] {
    let mut flags = 0;
    if row.place.group.is_some() {
        flags |= GROUPED;
    }
    if row.expires_at.is_some() {
        flags |= EXPIRES;
    }
    if row.suspect {
        flags |= SUSPECT;
    }
    let mut bytes = [0; ROW_BYTES];
    let mut at = 0;
    let mut put = |part: &[u8]| {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    };
    put(&[VERSION, flags, row.place.priority.level(), 0]);
    put(&row.queue.0.to_le_bytes());
    put(&row.size.to_le_bytes());
    put(&row.place.due.unix_ms().to_le_bytes());
    put(&row.enqueued_at.unix_ms().to_le_bytes());
    put(&row.expires_at.unwrap_or_default().unix_ms().to_le_bytes());
    put(&row.place.group.unwrap_or_default().to_le_bytes());
    put(&row.place.key.map_or(0, KeyHash::bits).to_le_bytes());
    put(&row.place.ordinal.to_le_bytes());
    put(&row.counters.attempts.to_le_bytes());
    put(&row.counters.postponed.to_le_bytes());
    put(&row.counters.crashes.to_le_bytes());
    put(&row.counters.redriven.to_le_bytes());
    let check = checksum(row.place.sequence, &bytes);
    bytes[ROW_BYTES - 4..].copy_from_slice(&check);
    bytes
}

/// Reads and verifies the row that stands under `sequence`.
pub(crate) fn decode(sequence: u64, bytes: &[u8]) -> Result<Row, Malformed> {
    let bytes: &[u8; ROW_BYTES] = bytes.try_into().map_err(|_| Malformed)?;
    if bytes[0] != VERSION || bytes[ROW_BYTES - 4..] != checksum(sequence, bytes) {
        return Err(Malformed);
    }
    let u32_at =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let u64_at = |at: usize| u64::from(u32_at(at)) | (u64::from(u32_at(at + 4)) << 32);
    let time_at = |at: usize| Timestamp::from_unix_ms(u64_at(at));
    let flag = |flag: u8| bytes[1] & flag != 0;
    let key = match u64_at(44) {
        0 => None,
        bits => Some(KeyHash::from_bits(bits).ok_or(Malformed)?),
    };
    Ok(Row {
        queue: QueueId(u32_at(4)),
        place: Place {
            sequence,
            due: time_at(12),
            priority: Priority::new(bytes[2]).ok_or(Malformed)?,
            group: flag(GROUPED).then(|| u64_at(36)),
            key,
            ordinal: u64_at(52),
        },
        counters: Counters {
            attempts: u32_at(60),
            postponed: u32_at(64),
            crashes: u32_at(68),
            redriven: u32_at(72),
        },
        enqueued_at: time_at(20),
        expires_at: flag(EXPIRES).then(|| time_at(28)),
        size: u32_at(8),
        suspect: flag(SUSPECT),
    })
}

fn checksum(sequence: u64, bytes: &[u8; ROW_BYTES]) -> [u8; 4] {
    let hash = xxh3_64_with_seed(&bytes[..ROW_BYTES - 4], sequence).to_le_bytes();
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_and_damage_is_found() {
        let row = Row {
            queue: QueueId(3),
            place: Place {
                sequence: 9,
                due: Timestamp::from_unix_ms(11),
                priority: Priority::new(0).unwrap(),
                group: Some(u64::MAX),
                key: Some(KeyHash::of("acme")),
                ordinal: 12,
            },
            counters: Counters {
                attempts: 1,
                postponed: 2,
                crashes: 3,
                redriven: 4,
            },
            enqueued_at: Timestamp::from_unix_ms(10),
            expires_at: Some(Timestamp::from_unix_ms(99)),
            size: 256,
            suspect: true,
        };
        let bytes = encode(&row);
        assert_eq!(decode(9, &bytes), Ok(row));
        assert_eq!(decode(8, &bytes), Err(Malformed));
        for i in 0..ROW_BYTES {
            let mut damaged = bytes;
            damaged[i] ^= 0x10;
            assert_eq!(decode(9, &damaged), Err(Malformed), "byte {i}");
        }
        let plain = Row {
            expires_at: None,
            suspect: false,
            place: Place {
                group: None,
                key: None,
                ..row.place
            },
            ..row
        };
        assert_eq!(decode(9, &encode(&plain)), Ok(plain));
    }
}
