//! What may happen to a store, as a script that shrinks and reads well.

use std::fmt;

use gristmill_queue::outcome::HandedBack;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::pulling::{Pulling, pulling, visibility};
pub use super::ticks::Tick;
use super::ticks::{schedule, tick};

/// The queues that scripts use. One more, [`GATE`], belongs to the rig.
pub const QUEUES: [&str; 3] = ["a", "b", "c"];
/// The topics that scripts use.
pub const TOPICS: [&str; 2] = ["t", "u"];
/// All queues whose messages are looked at.
pub const ALL: [&str; 4] = ["a", "b", "c", gristmill_queue::limits::REPLIES];
/// The crontab entries that scripts use.
pub const ENTRIES: [&str; 2] = ["x", "y"];
/// Sent to, but never declared.
pub const NOWHERE: &str = "nowhere";
/// Holds the writer still while operations gather, so that they form one group.
pub const GATE: &str = "gate";

/// A message to be sent. Numbers stand for choices, so that they shrink towards the plain one.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Which of [`QUEUES`] or [`TOPICS`]; beyond them, [`NOWHERE`].
    pub to: usize,
    pub size: usize,
    pub group: Option<u8>,
    /// The tenant it names.
    pub key: Option<u8>,
    pub priority: u8,
    pub delay_ms: u64,
    pub ttl_ms: Option<u64>,
    pub dedup: Option<u8>,
    /// It has the same content as others with this number.
    pub same: Option<u8>,
}

impl Default for Sending {
    fn default() -> Self {
        Sending {
            to: 0,
            size: 0,
            group: None,
            key: None,
            priority: 4,
            delay_ms: 0,
            ttl_ms: None,
            dedup: None,
            same: None,
        }
    }
}

/// What a handler does before it ends.
#[derive(Clone, Debug)]
pub enum Act {
    Get(usize),
    Set(usize, u8),
    Add(usize, i8),
    Remove(usize),
    List(usize),
    Send(Sending),
    /// Replies with so many bytes, if it handles a request.
    Reply(usize),
}

/// How an attempt ends.
#[derive(Clone, Debug)]
pub enum End {
    Done,
    /// Cut off, or as the handler asked.
    Failed {
        delay_ms: Option<u64>,
        asked: bool,
    },
    Rejected,
    Postponed {
        delay_ms: u64,
    },
    HandedBack(HandedBack),
}

/// Which dead letters are meant.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    All,
    OneId(usize),
    ReasonOf(usize),
    FingerprintOf(usize),
}

/// An operation that may be in one group with others.
#[derive(Clone, Debug)]
pub enum Op {
    Send(Vec<Sending>),
    /// Ends the n-th delivery in flight.
    End(usize, End),
    /// Ends several from the n-th on as one batch, with perhaps a stale one among them.
    EndBatch(usize, Vec<End>, Option<usize>),
    /// Ends it with what a handler has done since it began.
    Stale(usize),
    /// A pull consumer asks for so many, of a group several or not, for so long.
    Receive(usize, u32, bool, Option<u64>),
    /// It settles the n-th lease that is held; or, stale or not, the n-th that ever was.
    Pulled(usize, Pulling, bool),
    Pause(usize, bool),
    Purge {
        queue: usize,
        ready: bool,
        scheduled: bool,
        dead: bool,
        which: Which,
    },
    Redrive(usize, Which),
    /// At so many a second, to one of [`QUEUES`] or, beyond them, back to where it died; from a queue
    /// that has some, the n-th.
    Order {
        queue: usize,
        which: Which,
        to: Option<usize>,
        rate: Option<u32>,
    },
    /// Cancels the n-th redrive under way.
    CancelRedrive(usize),
    /// Sends one of the dead letters of a queue that has some again with so large a body.
    Edit(usize, usize, usize),
    /// Sends a request, perhaps with a correlation id of its own.
    Request(Sending, Option<usize>),
    /// The handler of the n-th request in flight replies with so many bytes, and is done.
    Answer(usize, usize),
    /// Waits for a reply: one that is there, or to a request that lives, or to one of the last.
    Wait(usize),
    /// Lets the n-th who waits go.
    Leave(usize),
    /// Cancels a message: one of those that were ever accepted.
    Cancel(usize),
    /// Moves one of them by so much from now.
    Move(usize, u64),
    Fire(Tick),
    /// One halted group of a queue, or all.
    ResumeGroups(usize, Option<u8>),
}

/// One line of a script.
#[derive(Clone, Debug)]
pub enum Step {
    One(Op),
    /// All in one group.
    Together(Vec<Op>),
    /// What the handler of the n-th delivery in flight does.
    Act(usize, Vec<Act>),
    Pass(u64),
    /// With so many slots of its own; and, if so many are given, in common with the other queues that
    /// are attached so.
    Attach(usize, u32, Option<u32>),
    Detach(usize),
    /// The policy of each queue and the kind of each topic; none undeclares it.
    Declare([Option<u8>; QUEUES.len()], [Option<u8>; TOPICS.len()]),
    /// The schedule of each crontab entry; none removes it.
    Crontab([Option<u64>; ENTRIES.len()]),
    Reopen,
    Crash,
    LosePower,
}

/// A script.
#[derive(Clone)]
pub struct Script(pub Vec<Step>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, step) in self.0.iter().enumerate() {
            write!(f, "\n  {line:>4}  {step:?}")?;
        }
        Ok(())
    }
}

/// Scripts of up to so many steps.
pub fn scripts(steps: usize) -> impl Strategy<Value = Script> {
    // Most begin with other queues than the plain ones.
    let start = option::weighted(0.7, declaration());
    (start, vec(step(), 1..=steps))
        .prop_map(|(start, steps)| Script(start.into_iter().chain(steps).collect()))
}

fn declaration() -> impl Strategy<Value = Step> {
    let policies = [declared(), declared(), declared()];
    (policies, [topic(), topic()]).prop_map(|(policies, topics)| Step::Declare(policies, topics))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => op().prop_map(Step::One),
        6 => vec(op(), 2..6).prop_map(Step::Together),
        16 => (0..4usize, vec(act(), 1..5)).prop_map(|(n, acts)| Step::Act(n, acts)),
        3 => (0..4usize, queue(), vec(sending(), 4..7)).prop_map(flood),
        12 => pass().prop_map(Step::Pass),
        3 => (queue(), 1..4u32, option::weighted(0.3, 1..4u32))
            .prop_map(|(queue, slots, shared)| Step::Attach(queue, slots, shared)),
        1 => queue().prop_map(Step::Detach),
        2 => declaration(),
        2 => [schedule(), schedule()].prop_map(Step::Crontab),
        1 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        1 => Just(Step::LosePower),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        14 => vec(sending(), 1..5).prop_map(Op::Send),
        18 => (0..4usize, end()).prop_map(|(n, end)| Op::End(n, end)),
        6 => (0..4usize, vec(end(), 1..4), option::weighted(0.1, 0..20usize))
            .prop_map(|(n, ends, stale)| Op::EndBatch(n, ends, stale)),
        1 => (0..20usize).prop_map(Op::Stale),
        9 => (queue(), 1..5u32, any::<bool>(), option::weighted(0.8, visibility()))
            .prop_map(|(queue, max, batch, lasts)| Op::Receive(queue, max, batch, lasts)),
        10 => (0..6usize, pulling(), prop::bool::weighted(0.1))
            .prop_map(|(n, pulling, stale)| Op::Pulled(n, pulling, stale)),
        1 => (queue(), any::<bool>()).prop_map(|(queue, paused)| Op::Pause(queue, paused)),
        1 => (queue(), any::<bool>(), any::<bool>(), any::<bool>(), which()).prop_map(
            |(queue, ready, scheduled, dead, which)| Op::Purge { queue, ready, scheduled, dead, which }
        ),
        2 => (queue(), which()).prop_map(|(queue, which)| Op::Redrive(queue, which)),
        5 => (queue(), which(), option::weighted(0.7, 0..=QUEUES.len()), rate())
            .prop_map(|(queue, which, to, rate)| Op::Order { queue, which, to, rate }),
        1 => (0..3usize).prop_map(Op::CancelRedrive),
        2 => (queue(), 0..5usize, size()).prop_map(|(queue, n, size)| Op::Edit(queue, n, size)),
        7 => (sending(), option::weighted(0.3, 0..2usize))
            .prop_map(|(sending, own)| Op::Request(sending, own)),
        6 => (0..4usize, size()).prop_map(|(n, size)| Op::Answer(n, size)),
        6 => (0..4usize).prop_map(Op::Wait),
        1 => (0..4usize).prop_map(Op::Leave),
        2 => (0..100usize).prop_map(Op::Cancel),
        3 => (0..100usize, delay()).prop_map(|(n, delay)| Op::Move(n, delay)),
        4 => tick().prop_map(Op::Fire),
        2 => (queue(), option::weighted(0.7, 0..2u8))
            .prop_map(|(queue, group)| Op::ResumeGroups(queue, group)),
    ]
}

fn queue() -> impl Strategy<Value = usize> {
    0..QUEUES.len()
}

fn declared() -> impl Strategy<Value = Option<u8>> {
    option::weighted(
        0.9,
        prop_oneof![2 => 0..super::policy::POLICIES, 1 => 14..16u8, 1 => Just(1u8)],
    )
}

fn topic() -> impl Strategy<Value = Option<u8>> {
    option::weighted(0.85, 0..super::topics::KINDS)
}

fn rate() -> impl Strategy<Value = Option<u32>> {
    option::weighted(
        0.7,
        prop_oneof![2 => Just(1u32), 1 => Just(2), 1 => Just(30)],
    )
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![10 => 0..25usize, 1 => Just(300 * 1024)]
}

fn pass() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(1u64),
        Just(500),
        Just(1000),
        Just(2000),
        Just(5000),
        Just(20_000),
        Just(400_000)
    ]
}

pub fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0u64), 1 => Just(1), 1 => Just(1000), 1 => Just(3000), 1 => Just(60_000)]
}

pub fn sending() -> impl Strategy<Value = Sending> {
    let most = QUEUES.len() + TOPICS.len();
    let to = prop_oneof![12 => queue(), 8 => QUEUES.len()..most, 1 => Just(most)];
    let priority = prop_oneof![3 => Just(4u8), 2 => 0..10u8];
    let ttl = prop_oneof![Just(1u64), Just(1000), Just(4000), Just(30_000)];
    (
        to,
        size(),
        option::weighted(0.4, 0..2u8),
        option::weighted(0.6, 0..3u8),
        priority,
        delay(),
        option::weighted(0.25, ttl),
        option::weighted(0.2, 0..3u8),
        option::weighted(0.4, 0..4u8),
    )
        .prop_map(
            |(to, size, group, key, priority, delay_ms, ttl_ms, dedup, same)| Sending {
                to,
                size,
                group,
                key,
                priority,
                delay_ms,
                ttl_ms,
                dedup,
                same,
            },
        )
}

fn act() -> impl Strategy<Value = Act> {
    let key = || 0..super::reference::KEYS.len();
    prop_oneof![
        3 => key().prop_map(Act::Get),
        3 => (key(), any::<u8>()).prop_map(|(key, value)| Act::Set(key, value)),
        3 => (key(), any::<i8>()).prop_map(|(key, delta)| Act::Add(key, delta)),
        1 => key().prop_map(Act::Remove),
        1 => key().prop_map(Act::List),
        5 => sending().prop_map(Act::Send),
        6 => size().prop_map(Act::Reply),
    ]
}

/// A handler sends much to one queue, which may have no room for it.
fn flood((n, queue, sends): (usize, usize, Vec<Sending>)) -> Step {
    let to_it = |sending| {
        Act::Send(Sending {
            to: queue,
            dedup: None,
            ..sending
        })
    };
    Step::Act(n, sends.into_iter().map(to_it).collect())
}

fn end() -> impl Strategy<Value = End> {
    let back = prop_oneof![
        Just(HandedBack::Shutdown),
        Just(HandedBack::Reload),
        Just(HandedBack::NoInstance),
        Just(HandedBack::Conflict),
        Just(HandedBack::DestinationFull),
        Just(HandedBack::ReusedInstance),
        Just(HandedBack::BatchFailed),
        Just(HandedBack::Released),
    ];
    prop_oneof![
        8 => Just(End::Done),
        5 => (option::weighted(0.3, delay()), any::<bool>())
            .prop_map(|(delay_ms, asked)| End::Failed { delay_ms, asked }),
        4 => Just(End::Rejected),
        2 => delay().prop_map(|delay_ms| End::Postponed { delay_ms }),
        4 => back.prop_map(End::HandedBack),
    ]
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        3 => Just(Which::All),
        1 => (0..5usize).prop_map(Which::OneId),
        1 => (0..5usize).prop_map(Which::ReasonOf),
        1 => (0..5usize).prop_map(Which::FingerprintOf),
    ]
}
