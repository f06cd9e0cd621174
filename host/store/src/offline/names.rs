//! Which number is which queue's, found out from the table, from old pages of it, and from messages: the
//! checksum of a message is right under its own queue's name only.

use std::collections::BTreeMap;

use gristmill_queue::{Message, QueueName};

use crate::record;

/// The highest number that is believed without a checksum.
const MAX_NUMBER: u32 = 1 << 20;

/// The most names that are tried because an old page has them.
const MAX_CANDIDATES: usize = 4096;

/// The queues of a damaged store.
#[derive(Default)]
pub(super) struct Names {
    by_number: BTreeMap<u32, QueueName>,
    paused: BTreeMap<QueueName, bool>,
    /// What a queue may be called whose number is not known.
    candidates: Vec<QueueName>,
}

impl Names {
    pub fn new(candidates: Vec<QueueName>) -> Self {
        Names {
            candidates,
            ..Names::default()
        }
    }

    /// Takes note of a row of the table of queues. If it is not certain, it is only a name that there
    /// may be.
    pub fn row(&mut self, key: &[u8], value: &[u8], certain: bool) {
        let name = std::str::from_utf8(key).ok();
        let Some(name) = name.and_then(|name| QueueName::new(name).ok()) else {
            return;
        };
        let (number, paused) = match value {
            &[a, b, c, d, paused @ (0 | 1)] => (u32::from_le_bytes([a, b, c, d]), paused == 1),
            _ => return,
        };
        if number > MAX_NUMBER {
            return;
        }
        if certain {
            self.by_number.insert(number, name.clone());
            self.paused.insert(name, paused);
        } else if self.candidates.len() < MAX_CANDIDATES && !self.candidates.contains(&name) {
            self.candidates.push(name);
        }
    }

    /// A message, and the number of its queue; nothing if it is not one, or of a queue that is not
    /// known by name.
    pub fn recognise(
        &mut self,
        number: Option<u32>,
        sequence: u64,
        record: &[u8],
    ) -> Option<(u32, Message)> {
        let expected =
            number.and_then(|number| Some((number, self.by_number.get(&number)?.clone())));
        if let Some((number, name)) = expected
            && let Ok(message) = record::decode(sequence, name, record)
        {
            return Some((number, message));
        }
        let known = self.by_number.values().chain(&self.candidates).cloned();
        let known: Vec<QueueName> = known.collect();
        let message = known
            .into_iter()
            .find_map(|name| record::decode(sequence, name, record).ok())?;
        let number = match number {
            // A row has a checksum, the table of queues has none.
            Some(number) => {
                self.by_number.retain(|_, name| *name != message.queue);
                self.by_number.insert(number, message.queue.clone());
                number
            }
            None => self.number(&message.queue),
        };
        Some((number, message))
    }

    /// The number of a queue, which gets one if it has none.
    fn number(&mut self, queue: &QueueName) -> u32 {
        let mut known = self.by_number.iter();
        if let Some((number, _)) = known.find(|(_, name)| *name == queue) {
            return *number;
        }
        let next = self.by_number.keys().last().map_or(0, |last| last + 1);
        self.by_number.insert(next, queue.clone());
        next
    }

    /// All queues as a host wants them: without a gap in their numbers, up to the highest that is
    /// used. A queue whose name is lost is called `lost-` and its number.
    pub fn all(&self, highest: Option<u32>) -> Vec<(QueueName, u32, bool)> {
        let last = self.by_number.keys().last().copied().max(highest);
        let Some(last) = last.filter(|last| *last <= MAX_NUMBER) else {
            return Vec::new();
        };
        let all = (0..=last).filter_map(|number| {
            let name = self.by_number.get(&number).cloned();
            let name = name.or_else(|| QueueName::new(&format!("lost-{number}")).ok())?;
            let paused = self.paused.get(&name).copied().unwrap_or(false);
            Some((name, number, paused))
        });
        all.collect()
    }
}
