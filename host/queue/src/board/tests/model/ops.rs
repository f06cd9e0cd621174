//! What may happen to a board, and how often.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::key::KeyHash;

/// A message that is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub queue: Index,
    pub delay: u64,
    pub ttl: Option<u64>,
    pub priority: u8,
    pub group: Option<u64>,
    pub key: Option<KeyHash>,
    pub size: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Accept(Sent),
    Claim,
    End(Index, Outcome, f64),
    EndStale(Index),
    /// One message conflicts again and again, as far as it is claimed again.
    Conflicts(Index),
    /// At most so many, of a group several or not, for so long.
    Pull(Index, usize, bool, u64),
    Extend(Index, u64),
    Remove(Index),
    Cancel(Index),
    Move(Index, u64),
    Redrive(Index),
    Damage(Index),
    AbandonNext(bool),
    Pause(Index, bool),
    Slots(Index, u32),
    /// With so many slots in common with the others of the pool.
    Share(Index, Option<usize>, u32),
    Declare(Index, bool, u32, u8),
    Wait(u64),
    Crash(u64),
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let conflict = Outcome::HandedBack(HandedBack::Conflict);
    let back = prop::sample::select(vec![
        HandedBack::Shutdown,
        HandedBack::Reload,
        HandedBack::NoInstance,
        HandedBack::DestinationFull,
        HandedBack::ReusedInstance,
        HandedBack::BatchFailed,
        HandedBack::Released,
    ]);
    let failure =
        (0usize..Reason::ALL.len(), prop::option::of(0u64..30)).prop_map(|(reason, delay)| {
            Outcome::Failed {
                reason: Reason::ALL[reason],
                error: String::new(),
                delay: delay.map(Duration::from_millis),
            }
        });
    let postponed = (0u64..30).prop_map(|ms| Outcome::Postponed {
        delay: Duration::from_millis(ms),
    });
    prop_oneof![
        4 => Just(Outcome::Done),
        3 => failure,
        1 => Just(Outcome::Rejected { error: String::new() }),
        1 => postponed,
        5 => Just(conflict),
        2 => back.prop_map(Outcome::HandedBack),
    ]
}

pub(super) fn ops() -> impl Strategy<Value = Op> {
    let delay = prop_oneof![3 => Just(0u64), 2 => 1u64..30];
    let ttl = prop::option::weighted(0.3, 1u64..60);
    let priority = prop_oneof![3 => Just(4u8), 1 => 0u8..10];
    let group = prop_oneof![1 => Just(None), 1 => (0u64..3).prop_map(Some)];
    let key = prop_oneof![1 => Just(None), 2 => (0u64..3).prop_map(|key| Some(KeyHash::of(&key.to_string())))];
    let accept = (any::<Index>(), delay, ttl, priority, group, key, 0u32..100);
    prop_oneof![
        12 => accept.prop_map(|(queue, delay, ttl, priority, group, key, size)| Op::Accept(Sent { queue, delay, ttl, priority, group, key, size })),
        16 => Just(Op::Claim),
        14 => (any::<Index>(), outcomes(), 0.0..1.0).prop_map(|(i, outcome, roll)| Op::End(i, outcome, roll)),
        6 => (any::<Index>(), 1usize..4, any::<bool>(), 0u64..60).prop_map(|(i, most, batch, lasts)| Op::Pull(i, most, batch, lasts)),
        1 => (any::<Index>(), 0u64..60).prop_map(|(i, lasts)| Op::Extend(i, lasts)),
        1 => any::<Index>().prop_map(Op::EndStale),
        1 => any::<Index>().prop_map(Op::Conflicts),
        2 => any::<Index>().prop_map(Op::Remove),
        1 => any::<Index>().prop_map(Op::Cancel),
        3 => (any::<Index>(), 0u64..30).prop_map(|(i, delay)| Op::Move(i, delay)),
        2 => any::<Index>().prop_map(Op::Redrive),
        1 => any::<Index>().prop_map(Op::Damage),
        1 => any::<bool>().prop_map(Op::AbandonNext),
        2 => (any::<Index>(), prop::bool::weighted(0.3)).prop_map(|(i, paused)| Op::Pause(i, paused)),
        2 => (any::<Index>(), 0u32..4).prop_map(|(i, slots)| Op::Slots(i, slots)),
        1 => (any::<Index>(), prop::option::of(0usize..2), 1u32..4).prop_map(|(i, pool, slots)| Op::Share(i, pool, slots)),
        2 => (any::<Index>(), prop::bool::weighted(0.8), 0u32..4, 0u8..7).prop_map(|(i, declared, most, limits)| Op::Declare(i, declared, most, limits)),
        6 => (1u64..40).prop_map(Op::Wait),
        1 => any::<u64>().prop_map(Op::Crash),
    ]
}
