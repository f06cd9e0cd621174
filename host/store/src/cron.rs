//! Up to when the ticks of each crontab entry are done, so that none is done twice.
//!
//! A row is `schedule u64 · done u64 · last tick u64 · fired at u64 · message 16 bytes · checksum`,
//! under the entry's name. It changes in the commit that holds the message of the tick.

use gristmill_queue::{MessageId, Timestamp};
use redb::{ReadableTable, StorageError};

use crate::check;
use crate::log::redo::Logged;
use crate::tlv::Malformed;

/// An entry of the crontab: its name, and what tells its schedule from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronEntry {
    /// Its name.
    pub name: String,
    /// A hash of when it ticks. An entry with another schedule starts anew.
    pub schedule: u64,
}

/// How far an entry has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CronMark {
    /// What tells its schedule from others.
    pub schedule: u64,
    /// Its ticks up to here have fired, or never will.
    pub done: Timestamp,
    /// The last tick that fired.
    pub last: Option<LastTick>,
}

/// A tick that has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTick {
    /// When it was to be.
    pub tick: Timestamp,
    /// When it was.
    pub fired_at: Timestamp,
    /// The message that was sent for it.
    pub id: MessageId,
}

const ROW: usize = 4 * 8 + 16;
const NEVER: u64 = u64::MAX;

fn encode(name: &str, mark: &CronMark) -> Vec<u8> {
    let (tick, fired_at, id) = match mark.last {
        Some(last) => (
            last.tick.unix_ms(),
            last.fired_at.unix_ms(),
            last.id.to_bytes(),
        ),
        None => (NEVER, NEVER, [0; 16]),
    };
    let mut row = Vec::with_capacity(ROW + 4);
    for number in [mark.schedule, mark.done.unix_ms(), tick, fired_at] {
        row.extend_from_slice(&number.to_le_bytes());
    }
    row.extend_from_slice(&id);
    check::seal(check::key(name.as_bytes()), &mut row);
    row
}

/// Reads and verifies the row of the entry of that name.
pub(crate) fn decode(name: &str, sealed: &[u8]) -> Result<CronMark, Malformed> {
    let row = check::open(check::key(name.as_bytes()), sealed)?;
    let row: &[u8; ROW] = row.try_into().map_err(|_| Malformed)?;
    let number = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&row[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let mut id = [0; 16];
    id.copy_from_slice(&row[32..]);
    let time = |at| Timestamp::from_unix_ms(number(at));
    Ok(CronMark {
        schedule: number(0),
        done: time(8),
        last: (number(16) != NEVER).then(|| LastTick {
            tick: time(16),
            fired_at: time(24),
            id: MessageId::from_bytes(id),
        }),
    })
}

/// How far an entry has come. A damaged row is none, so that its entry starts anew: a tick that is
/// left out is better than one that fires twice.
pub(crate) fn read(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<CronMark>, StorageError> {
    let Some(row) = table.get(name)? else {
        return Ok(None);
    };
    let mark = decode(name, row.value()).ok();
    if mark.is_none() {
        tracing::error!(
            cron = name,
            "how far the cron entry has come is damaged; it starts anew"
        );
    }
    Ok(mark)
}

/// Writes how far an entry has come.
pub(crate) fn write(
    table: &mut Logged<'_, &'static str, &'static [u8]>,
    name: &str,
    mark: &CronMark,
) -> Result<(), StorageError> {
    table.insert(name, encode(name, mark).as_slice())?;
    Ok(())
}

/// All entries that are sound.
pub(crate) fn all(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Vec<(String, CronMark)>, StorageError> {
    let mut marks = Vec::new();
    for row in table.iter()? {
        let (name, row) = row?;
        let name = name.value();
        marks.extend(
            decode(name, row.value())
                .ok()
                .map(|mark| (name.to_owned(), mark)),
        );
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_damage_is_found() {
        let last = LastTick {
            tick: Timestamp::from_unix_ms(7),
            fired_at: Timestamp::from_unix_ms(9),
            id: MessageId::from_bytes([3; 16]),
        };
        for last in [None, Some(last)] {
            let mark = CronMark {
                schedule: u64::MAX,
                done: Timestamp::from_unix_ms(8),
                last,
            };
            let row = encode("nightly", &mark);
            assert_eq!(decode("nightly", &row), Ok(mark));
            assert_eq!(decode("weekly", &row), Err(Malformed));
            for i in 0..row.len() {
                let mut damaged = row.clone();
                damaged[i] ^= 2;
                assert_eq!(decode("nightly", &damaged), Err(Malformed), "byte {i}");
            }
        }
    }
}
