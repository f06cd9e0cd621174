//! Ticks of the crontab in a script.

use proptest::option;
use proptest::prelude::*;

use super::script::{ENTRIES, Sending, sending};

/// A tick of the crontab that is to be done.
#[derive(Clone, Debug)]
pub struct Tick {
    /// Which of [`ENTRIES`].
    pub entry: usize,
    /// What its schedule is held to be.
    pub schedule: u64,
    /// How many whole seconds after the last second the tick is; before it, if negative.
    pub ahead: i64,
    /// What is sent; nothing, if it is left out.
    pub sending: Option<Sending>,
    /// Somebody asked for it.
    pub by_hand: bool,
}

pub fn schedule() -> impl Strategy<Value = Option<u64>> {
    option::weighted(0.8, 0..2u64)
}

pub fn tick() -> impl Strategy<Value = Tick> {
    let sending = option::weighted(0.8, sending());
    (0..ENTRIES.len(), 0..2u64, -2..2i64, sending, 0..8u8).prop_map(
        |(entry, schedule, ahead, sending, kind)| Tick {
            entry,
            schedule,
            ahead,
            by_hand: kind == 7 && sending.is_some(),
            sending,
        },
    )
}
