//! A record of what was asked and seen, and the rules that it has to obey.
//!
//! Knows nothing of hosts: it is fed events, and says which promises they break. The rules are those
//! that can be checked from outside, in time linear in the number of events.

use std::collections::{BTreeMap, BTreeSet};

/// Something that was seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A send with a dedup key was begun; whether it was accepted is open.
    Asked {
        /// The dedup key.
        key: String,
    },
    /// A send was answered with success.
    Accepted {
        /// The dedup key.
        key: String,
        /// The id in the answer.
        id: String,
    },
    /// A derived message was found at the end: the handler's effect for this id.
    Effect {
        /// The message that it was derived from.
        id: String,
    },
    /// The message was found in the dead store at the end.
    Dead {
        /// Its id.
        id: String,
    },
    /// The message was still waiting at the end.
    Waiting {
        /// Its id.
        id: String,
    },
    /// What the handler's counter showed at the end.
    Counter {
        /// Its value.
        value: u64,
    },
}

/// A promise that was broken, and by what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// Accepted, and nowhere to be found.
    Lost(String),
    /// There was an effect, a death or a wait of something that was never accepted.
    Ghost(String),
    /// It has more than one fate: acknowledged twice, or acknowledged and also dead or waiting.
    TwoFates(String),
    /// One key, two messages.
    Duplicated(String),
    /// The counter does not show one step for each acknowledged message.
    Counter {
        /// What it shows.
        found: u64,
        /// How many were acknowledged.
        acknowledged: u64,
    },
}

/// What was seen, in order.
#[derive(Clone, Debug, Default)]
pub struct History(Vec<Event>);

impl History {
    /// Adds an event.
    pub fn note(&mut self, event: Event) {
        self.0.push(event);
    }

    /// What was seen, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.0
    }

    /// The promises that this history breaks.
    ///
    /// A send whose answer never came may have been accepted or not; its caller repeats it under the
    /// same key until there is an answer, so at the end each key has one.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
        let mut asked: BTreeSet<&str> = BTreeSet::new();
        let mut fates: BTreeMap<&str, u32> = BTreeMap::new();
        let (mut acknowledged, mut counter) = (0, None);
        let mut broken = BTreeSet::new();
        for event in &self.0 {
            match event {
                Event::Asked { key } => {
                    asked.insert(key);
                }
                Event::Accepted { key, id } => {
                    if !asked.contains(key.as_str()) {
                        broken.insert(Violation::Ghost(key.clone()));
                    }
                    if *ids.entry(key).or_insert(id) != id {
                        broken.insert(Violation::Duplicated(key.clone()));
                    }
                }
                Event::Effect { id } => {
                    acknowledged += 1;
                    *fates.entry(id).or_default() += 1;
                }
                Event::Dead { id } | Event::Waiting { id } => *fates.entry(id).or_default() += 1,
                Event::Counter { value } => counter = Some(*value),
            }
        }
        let accepted: BTreeSet<&str> = ids.values().copied().collect();
        let lost = accepted.iter().filter(|id| !fates.contains_key(*id));
        broken.extend(lost.map(|id| Violation::Lost((*id).to_owned())));
        for (id, count) in &fates {
            if !accepted.contains(id) {
                broken.insert(Violation::Ghost((*id).to_owned()));
            }
            if *count > 1 {
                broken.insert(Violation::TwoFates((*id).to_owned()));
            }
        }
        if let Some(found) = counter.filter(|found| *found != acknowledged) {
            broken.insert(Violation::Counter {
                found,
                acknowledged,
            });
        }
        broken.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> History {
        let mut history = History::default();
        for (key, id) in [("k1", "1"), ("k2", "2"), ("k3", "3")] {
            history.note(Event::Asked { key: key.into() });
            // Unknown at first, then repeated.
            history.note(Event::Asked { key: key.into() });
            for _ in 0..2 {
                history.note(Event::Accepted {
                    key: key.into(),
                    id: id.into(),
                });
            }
        }
        history.note(Event::Effect { id: "1".into() });
        history.note(Event::Dead { id: "2".into() });
        history.note(Event::Waiting { id: "3".into() });
        history.note(Event::Counter { value: 1 });
        history
    }

    #[test]
    fn a_good_history_breaks_nothing() {
        assert_eq!(good().violations(), []);
    }

    #[test]
    fn each_broken_promise_is_seen() {
        let accepted = |key: &str, id: &str| Event::Accepted {
            key: key.into(),
            id: id.into(),
        };
        let effect = |id: &str| Event::Effect { id: id.into() };
        for (event, expected) in [
            (Event::Dead { id: "9".into() }, Violation::Ghost("9".into())),
            (accepted("k9", "1"), Violation::Ghost("k9".into())),
            (
                Event::Dead { id: "1".into() },
                Violation::TwoFates("1".into()),
            ),
            (effect("1"), Violation::TwoFates("1".into())),
            (accepted("k1", "8"), Violation::Duplicated("k1".into())),
            (
                Event::Counter { value: 2 },
                Violation::Counter {
                    found: 2,
                    acknowledged: 1,
                },
            ),
        ] {
            let mut history = good();
            history.note(event.clone());
            let found = history.violations();
            assert!(found.contains(&expected), "{event:?}: {found:?}");
        }
        let mut lost = good();
        lost.note(Event::Asked { key: "k4".into() });
        lost.note(accepted("k4", "4"));
        assert_eq!(lost.violations(), [Violation::Lost("4".into())]);
    }
}
