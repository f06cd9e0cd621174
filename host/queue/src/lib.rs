//! The core of Gristmill: the life of a message as a pure state machine.
//!
//! ```text
//! send ──► scheduled ──(due)──► ready ──(lease)──► in flight ──ack──► gone
//!               ▲                 ▲                   │
//!               │                 └── handed back ────┤  not the message's fault: not counted
//!               └──────── retry, after back-off ──────┤  counted
//!                                                     └─ reject / attempts used up / expired ──► dead ──redrive──► ready
//! ```
//!
//! This crate knows what a message is, what may happen to it and when. It does not know how
//! anything is stored, run or served, and it never asks for the time or for chance: `now` and
//! `roll` are arguments, so that every decision can be repeated in a test.
//!
//! | module | what it holds |
//! |---|---|
//! | [`message`] | what is sent and delivered, and the limits on it |
//! | [`blob`] | large bodies, which are stored aside |
//! | [`outcome`] | how an attempt may end, and what is kept about it |
//! | [`settle`](mod@settle) | outcome → settlement: counting, back-off, death |
//! | [`retry`] | back-off and jitter |
//! | [`provenance`] | what a message tells that died elsewhere |
//! | [`key`] | by what a queue takes turns and limits |
//! | [`rate`] | token buckets |
//! | [`effects`] | what a handler sends and stores, held back until its ack |
//! | [`topic`] | which queues get a copy of what is sent to a topic |
//! | [`ready`] | the order in which waiting messages are due |
//! | [`board`] | all queues: gates, leases and fences |

// What is disallowed stands with its reasons in this package's clippy.toml.
#![deny(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

pub mod blob;
pub mod board;
pub mod bug;
pub mod effects;
pub mod id;
pub mod key;
pub mod limits;
pub mod message;
pub mod meter;
pub mod name;
pub mod outcome;
pub mod policy;
pub mod provenance;
pub mod rate;
pub mod ready;
pub mod retry;
pub mod settle;
pub mod time;
pub mod topic;
pub mod trace;

pub use blob::{BlobReader, BlobRef, BlobUnavailable};
pub use board::{Board, Fence};
pub use effects::{Effects, Transaction};
pub use id::{IdSource, MessageId};
pub use message::{Envelope, Message, NewMessage};
pub use name::QueueName;
pub use outcome::{Outcome, Reason};
pub use policy::QueuePolicy;
pub use settle::{Counters, Settlement, settle};
pub use time::Timestamp;
pub use topic::TopicPolicy;
