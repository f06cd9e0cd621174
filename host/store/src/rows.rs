//! All rows of the index, in the order of their sequences.
//!
//! With millions of them a start takes as long as reading them. So threads read and verify stretches of
//! the index in turn, and one puts in order what they found.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use gristmill_queue::board::Row;
use redb::ReadOnlyTable;

use crate::row;
use crate::tables::CLOCK_KEY;

/// So many rows are handed over at once: a thread is woken for each piece.
const PIECE: usize = 4096;
/// So many pieces a reader is ahead at the most, half a megabyte each.
const AHEAD: usize = 4;
/// Fewer sequences are not worth a turn: what is read ahead has to last for the turns of the others.
const LEAST_STRETCH: u64 = (AHEAD * PIECE) as u64;
/// Sequences can lie far apart, and each stretch has to be looked for.
const MOST_STRETCHES: u64 = 1 << 16;
/// More would only wait for the one that puts in order.
const MOST_READERS: usize = 4;

type Index = ReadOnlyTable<u64, &'static [u8]>;
/// What stands under a sequence: its row, unless that is damaged.
type Found = (u64, Option<Row>);

/// A part of a stretch.
struct Piece {
    found: Vec<Found>,
    ends_stretch: bool,
}

/// The sequences from the first to the last, cut into stretches that readers take in turn.
#[derive(Clone, Copy)]
struct Stretches {
    first: u64,
    last: u64,
    length: u64,
    readers: u64,
}

impl Stretches {
    fn of(first: u64, last: u64) -> Self {
        let length = ((last - first) / MOST_STRETCHES + 1).max(LEAST_STRETCH);
        let count = (last - first) / length + 1;
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Stretches {
            first,
            last,
            length,
            readers: count.min(processors.min(MOST_READERS) as u64),
        }
    }

    fn count(&self) -> u64 {
        (self.last - self.first) / self.length + 1
    }

    /// The first and the last sequence of each stretch of one reader.
    fn of_reader(self, reader: u64) -> impl Iterator<Item = (u64, u64)> {
        let turns = (reader..self.count()).step_by(usize::try_from(self.readers).unwrap_or(1));
        turns.map(move |turn| {
            let first = self.first + turn * self.length;
            (first, self.last.min(first.saturating_add(self.length - 1)))
        })
    }
}

/// Gives each sequence and its row, which is none if it is damaged, to `take`, on a thread of its own.
pub(crate) fn each(
    index: &Index,
    mut take: impl FnMut(u64, Option<Row>) + Send,
) -> Result<(), redb::Error> {
    let mut all = index.range(..CLOCK_KEY)?;
    let Some(first) = all.next().transpose()? else {
        return Ok(());
    };
    let first = first.0.value();
    let last = all.next_back().transpose()?;
    let stretches = Stretches::of(first, last.map_or(first, |last| last.0.value()));
    thread::scope(|scope| {
        let mut lines = Vec::new();
        let mut readers = Vec::new();
        for reader in 0..stretches.readers {
            let (give, given) = sync_channel(AHEAD);
            let (give_back, given_back) = channel();
            lines.push((given, give_back));
            readers.push(move || read(index, stretches.of_reader(reader), &give, &given_back));
        }
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        named("restore").spawn_scoped(scope, move || {
            put_in_order(&lines, stretches.count(), &mut take);
        })?;
        let mut readers = readers.into_iter();
        let here = readers.next();
        let mut beside = Vec::new();
        for reader in readers {
            beside.push(named("read").spawn_scoped(scope, reader)?);
        }
        here.map_or(Ok(()), |read| read())?;
        for reader in beside {
            reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(())
    })
}

/// Reads stretches one after the other, and ends early if nobody takes them.
fn read(
    index: &Index,
    stretches: impl Iterator<Item = (u64, u64)>,
    give: &SyncSender<Piece>,
    given_back: &Receiver<Vec<Found>>,
) -> Result<(), redb::Error> {
    let mut found = Vec::new();
    // Says whether somebody took it.
    let hand_over = |found: &mut Vec<Found>, ends_stretch| {
        let piece = Piece {
            found: std::mem::take(found),
            ends_stretch,
        };
        let is_taken = give.send(piece).is_ok();
        *found = given_back.try_recv().unwrap_or_default();
        is_taken
    };
    for (first, last) in stretches {
        for entry in index.range(first..=last)? {
            if found.len() == PIECE && !hand_over(&mut found, false) {
                return Ok(());
            }
            let (key, bytes) = entry?;
            let sequence = key.value();
            found.push((sequence, row::decode(sequence, bytes.value()).ok()));
        }
        if !hand_over(&mut found, true) {
            return Ok(());
        }
    }
    Ok(())
}

/// Takes stretch after stretch from the readers in their turn. Ends early if one of them fails.
fn put_in_order(
    lines: &[(Receiver<Piece>, Sender<Vec<Found>>)],
    stretches: u64,
    take: &mut impl FnMut(u64, Option<Row>),
) {
    for (_, (given, give_back)) in (0..stretches).zip(lines.iter().cycle()) {
        loop {
            let Ok(mut piece) = given.recv() else { return };
            for (sequence, row) in piece.found.drain(..) {
                take(sequence, row);
            }
            // Nobody wants it after the last one.
            let _ = give_back.send(piece.found);
            if piece.ends_stretch {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gristmill_queue::Timestamp;
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase as _};

    use super::*;
    use crate::tables::INDEX;

    /// What is found if the index has these sequences, each with its row but for the damaged ones, and the clock.
    fn found(sequences: &[u64], damaged: &[u64]) -> Vec<(u64, bool)> {
        let database = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap();
        let transaction = database.begin_write().unwrap();
        let mut index = transaction.open_table(INDEX).unwrap();
        for &sequence in sequences {
            let mut bytes = row::encode(&row(sequence));
            if damaged.contains(&sequence) {
                bytes[9] ^= 1;
            }
            index.insert(sequence, bytes.as_slice()).unwrap();
        }
        index.insert(CLOCK_KEY, [1].as_slice()).unwrap();
        drop(index);
        transaction.commit().unwrap();
        let index = database.begin_read().unwrap().open_table(INDEX).unwrap();
        let mut found = Vec::new();
        each(&index, |sequence, row| {
            assert!(row.is_none_or(|row| row.place.sequence == sequence));
            found.push((sequence, row.is_some()));
        })
        .unwrap();
        found
    }

    fn row(sequence: u64) -> Row {
        Row {
            queue: gristmill_queue::board::QueueId(0),
            place: gristmill_queue::ready::Place {
                sequence,
                due: Timestamp::ZERO,
                priority: gristmill_queue::message::Priority::default(),
                group: None,
                key: None,
                ordinal: sequence,
            },
            counters: gristmill_queue::Counters::default(),
            enqueued_at: Timestamp::ZERO,
            expires_at: None,
            size: 1,
            suspect: false,
        }
    }

    fn check(sequences: &[u64], damaged: &[u64]) {
        let expected: Vec<_> = sequences
            .iter()
            .map(|sequence| (*sequence, !damaged.contains(sequence)))
            .collect();
        assert!(found(sequences, damaged) == expected);
    }

    #[test]
    fn all_rows_come_once_and_in_order_however_many_there_are() {
        for count in [0, 1, 2, 4095, 4096, 4097, 16_384, 16_385, 100_000] {
            let sequences: Vec<u64> = (7..7 + count).collect();
            check(&sequences, &[]);
        }
    }

    #[test]
    fn a_damaged_row_is_told_in_its_place() {
        let sequences: Vec<u64> = (1..40_000).collect();
        check(&sequences, &[1, 4097, 16_385, 39_999]);
    }

    #[test]
    fn sequences_may_lie_far_apart() {
        let last = CLOCK_KEY - 1;
        let mut sequences = vec![0, 1, 1 << 40];
        sequences.extend((1 << 50)..(1 << 50) + 50_000);
        sequences.push(last);
        check(&sequences, &[]);
    }

    #[test]
    fn stretches_have_all_sequences_and_none_twice() {
        for (first, last) in [(5, 5), (0, 16_383), (0, 16_384), (3, CLOCK_KEY - 1)] {
            let stretches = Stretches::of(first, last);
            let mut all: Vec<_> = (0..stretches.readers)
                .flat_map(|reader| stretches.of_reader(reader))
                .collect();
            all.sort_unstable();
            assert_eq!((all[0].0, all[all.len() - 1].1), (first, last));
            assert!(all.windows(2).all(|two| two[0].1 + 1 == two[1].0));
            assert_eq!(all.len() as u64, stretches.count());
            assert!(stretches.count() <= MOST_STRETCHES + 1);
        }
    }
}
