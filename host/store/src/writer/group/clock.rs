//! The row of the clock: what is persisted with every commit.

use gristmill_queue::Timestamp;

use crate::check;
use crate::tables::CLOCK_KEY;
use crate::tlv::Malformed;

/// The row under [`CLOCK_KEY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClockRow {
    /// The latest time seen.
    pub seen: Timestamp,
    pub next_sequence: u64,
    pub next_ordinal: u64,
    /// The number of the commit that wrote the row; 0 of one that had no log yet.
    pub commit: u64,
}

pub(crate) fn encode_clock(row: &ClockRow) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(36);
    for number in [
        row.seen.unix_ms(),
        row.next_sequence,
        row.next_ordinal,
        row.commit,
    ] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    check::seal(CLOCK_KEY, &mut bytes);
    bytes
}

/// Reads and verifies the row under [`CLOCK_KEY`].
pub(crate) fn decode_clock(bytes: &[u8]) -> Result<ClockRow, Malformed> {
    let row = check::open(CLOCK_KEY, bytes)?;
    let number = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&row[at..at + 8]);
        u64::from_le_bytes(word)
    };
    // Format 1 had no number of the commit.
    let commit = match row.len() {
        24 => 0,
        32 => number(24),
        _ => return Err(Malformed),
    };
    Ok(ClockRow {
        seen: Timestamp::from_unix_ms(number(0)),
        next_sequence: number(8),
        next_ordinal: number(16),
        commit,
    })
}
