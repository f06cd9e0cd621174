//! What the writer is asked to do, and who asks.

use std::num::NonZeroU32;
use std::sync::Arc;

use gristmill_queue::board::{QueueId, QueueView};
use gristmill_queue::message::Due;
use gristmill_queue::outcome::{Diagnostics, Usage};
use gristmill_queue::{
    Effects, Fence, Message, MessageId, NewMessage, Outcome, QueueName, QueuePolicy, Timestamp,
};
use tokio::sync::oneshot;

use crate::filter::DeadFilter;
use crate::pull::{Asked, Pulled, Settled};
use crate::redrive::{Edited, RedriveOrder, RedriveUnderWay, Redriven};
use crate::replies::Requested;
use crate::topics::{Sent, TopicDeclaration, TopicView};
use crate::{AdminError, CronEntry, CronMark, SendError, Staged};

/// A message and the queue or topic it is sent to.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to: the name of a queue, or of a topic.
    pub queue: QueueName,
    /// What.
    pub message: NewMessage,
}

/// A message with attributes of Gristmill's own, whose names are reserved.
#[derive(Clone, Debug)]
pub struct Stamped {
    /// The message, and where it goes.
    pub outgoing: Outgoing,
    /// Names and values.
    pub stamps: Vec<(&'static str, String)>,
}

/// A tick of a crontab entry that is to be done, or a message sent as though there were one.
#[derive(Clone, Debug)]
pub enum Firing {
    /// A tick, unless it was done before.
    Tick {
        /// Whose tick.
        entry: CronEntry,
        /// When it was to be.
        tick: Timestamp,
        /// What is sent for it; nothing, if it is left out.
        message: Option<Box<Stamped>>,
    },
    /// Somebody asked for it now. The ticks of the entry go on as though nothing had happened.
    ByHand(Box<Stamped>),
}

/// What became of a [`Firing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// The message is durable, and the tick done with it.
    Sent(Accepted),
    /// The tick is left out, for good.
    Skipped,
    /// It was done before, or the entry began after it: nothing happened.
    Before,
    /// The entry is not declared with this schedule: nothing happened.
    Stale,
}

/// A message that is durable in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id; the first one's if this one is a duplicate.
    pub id: MessageId,
    /// A message with the same dedup id had been accepted within the window; no second was made.
    pub duplicate: bool,
    /// It is a duplicate, but its body differs from the first one's.
    pub conflict: bool,
}

/// A message that a handler is to start on now.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The proof of the lease; settling needs it.
    pub fence: Fence,
    /// The message.
    pub message: Arc<Message>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many attempts it gets.
    pub max_attempts: u32,
    /// Why the attempt before failed.
    pub previous_failure: Option<String>,
    /// Run it in a fresh instance: it is suspected, follows a conflict, or failed together with
    /// others.
    pub fresh: bool,
    /// Run it by itself, never in a batch: it has to be fresh, or its last attempt was cut off and
    /// would take the others of a batch with it.
    pub alone: bool,
    /// When the lease was granted.
    pub leased_at: Timestamp,
}

/// Takes the messages of a queue as they are leased. Called by the writer, so it must only pass
/// them on.
pub trait Sink: Send + Sync {
    /// Starts on these messages. Each has to be settled, if only by handing it back.
    fn deliver(self: Arc<Self>, leased: Vec<Leased>);
}

/// What is known about an ended attempt beside its outcome.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// When it began.
    pub started_at: Timestamp,
    /// What it used.
    pub usage: Usage,
    /// What the sandbox left behind.
    pub diagnostics: Option<Diagnostics>,
    /// SHA-256 of the handler's module, in hexadecimal.
    pub module: Arc<str>,
    /// The fingerprint of the handler's configuration.
    pub config: Arc<str>,
    /// The handler's name, under which its state is kept.
    pub handler: Arc<str>,
}

/// The end of an attempt.
#[derive(Debug)]
pub struct Settle {
    /// Whose lease.
    pub fence: Fence,
    /// How it ended.
    pub outcome: Outcome,
    /// What is to happen with the ack.
    pub effects: Effects,
    /// What is known about it.
    pub evidence: Evidence,
}

/// The end of the attempts that were made in one batch.
#[derive(Debug)]
pub struct SettleBatch {
    /// Whose leases, and how each attempt ended.
    pub ended: Vec<(Fence, Outcome)>,
    /// What is to happen with the acks of those that are done, all or nothing.
    pub effects: Effects,
    /// What is known about them together.
    pub evidence: Evidence,
}

/// What of a queue is purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeStates {
    /// Messages that are due.
    pub ready: bool,
    /// Messages that are due later.
    pub scheduled: bool,
    /// Dead letters.
    pub dead: bool,
}

/// A queue as the configuration declares it.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Its name.
    pub name: QueueName,
    /// What is configured for it.
    pub policy: QueuePolicy,
}

/// How many messages of a queue its handler runs at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Of the queue itself.
    pub own: u32,
    /// Of all queues together that share them, because one handler serves them; none if there is no
    /// such limit.
    pub shared: Option<SharedSlots>,
}

/// Slots that all queues share which give the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSlots {
    /// The name: that of the handler.
    pub name: Arc<str>,
    /// How many. The latest to say so is right for all of them.
    pub slots: NonZeroU32,
}

impl From<u32> for Slots {
    fn from(own: u32) -> Self {
        Slots { own, shared: None }
    }
}

pub(crate) type Reply<T> = oneshot::Sender<T>;

pub(crate) enum Op {
    Send {
        batch: Vec<Outgoing>,
        /// Their large bodies.
        staged: Vec<Staged>,
        reply: Reply<Result<Vec<Sent>, SendError>>,
    },
    Settle(Box<Settle>, Vec<Staged>),
    SettleBatch(Box<SettleBatch>, Vec<Staged>),
    /// A pull consumer asks for messages.
    Receive(Box<Asked>),
    /// It waits no more.
    LeaveReceive {
        number: u64,
    },
    SettlePulled {
        queue: QueueName,
        verdicts: Vec<(Fence, Pulled)>,
        /// Nobody hears of it, if the messages are released because who asked for them is gone.
        reply: Option<Reply<Settled>>,
    },
    PutAside {
        fence: Fence,
    },
    Request {
        outgoing: Box<Outgoing>,
        staged: Vec<Staged>,
        reply: Reply<Result<Requested, SendError>>,
    },
    AskReply {
        correlation_id: Arc<str>,
        reply: Reply<Arc<Message>>,
    },
    LeaveReply {
        correlation_id: Arc<str>,
    },
    TakeReply {
        sequence: u64,
    },
    /// Tells who waits for a reply that the request died.
    Notify(Box<Stamped>),
    Topics {
        reply: Reply<Vec<TopicView>>,
    },
    Declare {
        queues: Vec<Declaration>,
        topics: Vec<TopicDeclaration>,
        reply: Reply<()>,
    },
    Make(Box<Make>),
    Unmake {
        name: QueueName,
        reply: Reply<Result<(), AdminError>>,
    },
    /// Removes what is left of a queue that is deleted.
    Clear {
        queue: QueueId,
    },
    Attach {
        queue: QueueName,
        slots: Slots,
        sink: Arc<dyn Sink>,
    },
    Detach {
        queue: QueueName,
        reply: Reply<()>,
    },
    SetPaused {
        queue: QueueName,
        paused: bool,
        reply: Reply<Result<(), AdminError>>,
    },
    /// One queue as it is now.
    View {
        queue: QueueName,
        reply: Reply<Option<QueueView>>,
    },
    Views {
        reply: Reply<Vec<QueueView>>,
    },
    Waiting {
        queue: QueueName,
        limit: usize,
        reply: Reply<Result<Vec<u64>, AdminError>>,
    },
    Purge(Purge),
    Redrive(Box<Redrive>),
    RedriveEdited(Box<Edited>),
    CancelRedrive {
        number: u64,
        reply: Reply<Result<u64, AdminError>>,
    },
    Redrives {
        reply: Reply<Vec<RedriveUnderWay>>,
    },
    Cancel {
        id: MessageId,
        reply: Reply<Result<(), AdminError>>,
    },
    Move {
        id: MessageId,
        to: Due,
        reply: Reply<Result<Timestamp, AdminError>>,
    },
    DeclareCron {
        entries: Vec<CronEntry>,
        reply: Reply<Vec<CronMark>>,
    },
    Fire {
        firings: Vec<Firing>,
        reply: Reply<Vec<Result<Fired, SendError>>>,
    },
    Standing {
        sequence: u64,
        reply: Reply<Standing>,
    },
    ResumeGroups(ResumeGroups),
    HaltedGroups(HaltedGroups),
    NoteAges {
        queue: QueueId,
    },
    Quarantine {
        sequence: u64,
    },
    Tick {
        reply: Reply<()>,
    },
    Close {
        reply: Reply<()>,
    },
}

/// A queue that is made at run time, or changed.
pub(crate) struct Make {
    pub declaration: Declaration,
    /// What is kept of it, in words of those who made it.
    pub definition: String,
    pub reply: Reply<Result<(), AdminError>>,
}

/// How a message stands, unless it is dead or gone.
pub(crate) enum Standing {
    InFlight,
    Waiting { behind: bool },
}

/// A purge under way; it goes on group by group.
pub(crate) struct Purge {
    pub queue: QueueName,
    pub states: PurgeStates,
    pub filter: DeadFilter,
    pub done: u64,
    /// The dead letters up to here are dealt with.
    pub dead_after: u64,
    /// What pull consumers hold goes too, and dedup ids are forgotten.
    pub whole: bool,
    /// What was accepted later stays.
    pub before: Option<u64>,
    pub reply: Reply<Result<u64, AdminError>>,
}

/// A redrive that is asked for.
pub(crate) struct Redrive {
    pub queue: QueueName,
    pub order: RedriveOrder,
    pub reply: Reply<Result<Redriven, AdminError>>,
}

/// Halted groups being resumed; all of a queue go on group by group.
pub(crate) struct ResumeGroups {
    pub queue: QueueName,
    /// All, if none is named.
    pub group: Option<String>,
    pub after: Option<u64>,
    pub done: u64,
    pub reply: Reply<Result<u64, AdminError>>,
}

/// A question for the halted groups of a queue, after that hash.
pub(crate) struct HaltedGroups {
    pub queue: QueueName,
    pub after: Option<u64>,
    pub limit: usize,
    /// Hashes, and how many messages wait.
    pub reply: Reply<Result<Vec<(u64, u64)>, AdminError>>,
}
