//! What pull consumers of a script do.

use proptest::option;
use proptest::prelude::*;

use super::script::delay;

/// What a pull consumer says of what it holds.
#[derive(Clone, Debug)]
pub enum Pulling {
    Ack,
    Retry(Option<u64>),
    Reject,
    Release,
    Extend(u64),
}

pub fn visibility() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0u64), 4 => Just(1000), 4 => Just(5000), 4 => Just(60_000)]
}

pub fn pulling() -> impl Strategy<Value = Pulling> {
    prop_oneof![
        6 => Just(Pulling::Ack),
        3 => option::weighted(0.5, delay()).prop_map(Pulling::Retry),
        2 => Just(Pulling::Reject),
        3 => Just(Pulling::Release),
        2 => visibility().prop_map(Pulling::Extend),
    ]
}
