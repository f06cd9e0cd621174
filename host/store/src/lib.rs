//! The store of Gristmill: one redb file, one writer, group commit.
//!
//! It records what the core (`gristmill-queue`) decides. It knows no Wasm and no HTTP.
//!
//! - A [`Store`] is a handle; all changes go to the one writer thread, which commits everything
//!   that waits as one group and answers only after the fsync of the commit has returned.
//! - Pull consumers hold leases that are rows, and so outlive the host.
//! - The ready order and the leases of handlers live in memory. The order is rebuilt when the file
//!   is opened; the leases end with the process, and the in-flight file remembers whom to suspect.
//! - If a commit fails, its outcome is unknown: nobody in the group is answered, and the process is
//!   told to exit ([`Options::on_fatal`]).

mod backup;
mod blob;
mod check;
mod checkpoint;
mod clock;
mod copy;
mod cron;
mod dead;
mod dedup;
mod destination;
mod disk;
mod error;
mod filter;
mod guarded;
mod held;
mod inbox;
mod inflight;
mod large;
mod lease;
mod lock;
mod log;
mod made;
mod offline;
mod open;
mod ops;
mod pull;
mod purge;
mod read;
mod read_dead;
mod record;
mod redrive;
mod replies;
mod reserve;
mod restore;
mod row;
mod rows;
mod secret;
mod state;
mod store;
mod tables;
mod tlv;
mod topics;
mod verify;
mod weight;
mod writer;

pub use backup::{Backup, BackupError, Bodies};
pub use blob::{Blob, BlobWriter, FileStep, Staged, Watch};
pub use checkpoint::ByHand;
pub use clock::{Clock, Drift, SetClocks};
pub use cron::{CronEntry, CronMark, LastTick};
pub use dead::{DeadLetter, DeadSummary};
pub use destination::{DestinationError, move_copy};
pub use disk::OpenFile;
pub use error::{AdminError, Fatal, OpenError, SendError};
pub use filter::DeadFilter;
pub use held::{Halted, HaltedGroup};
pub use log::replay;
pub use made::ReadMade;
pub use offline::{
    Beneath, BodiesReport, CheckReport, CompactError, Compacted, Problem, Progress, Salvage,
    SalvageError, Salvaged, SalvagedTable, TableReport, Verifier, check_store, check_store_by,
    compact_store, compact_store_on, salvage_store, verify_file,
};
pub use ops::{
    Accepted, Declaration, Evidence, Fired, Firing, Leased, Outgoing, PurgeStates, Settle,
    SettleBatch, SharedSlots, Sink, Slots, Stamped,
};
pub use pull::{GroupOrder, PullError, Pulled, Receive, ReceiveError, Received};
pub use read::{Found, Peeked};
pub use read_dead::{DeadGroup, ReturnableGroup};
pub use redrive::{Destination, RedriveOrder, RedriveUnderWay, Redriven};
pub use replies::{Asked, DIED_ATTRIBUTE, DIED_IN_ATTRIBUTE, Requested};
pub use reserve::{DiskReserve, ReserveReached, Space, SpaceSource};
pub use store::{Options, Recovery, Store};
pub use topics::{Sent, SubscriptionView, TopicCopy, TopicDeclaration, TopicView};
pub use writer::{Elsewhere, OnFatal};
