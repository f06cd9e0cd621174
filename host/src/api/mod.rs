//! What front ends ask of a host, and what they are told: [`Api`] and the types of its answers.
//!
//! The same verbs answer over the local socket and, when no host runs, in the command line's own
//! process, so that the two cannot drift apart. All that crosses the socket is a type here, with
//! field names that are stable. Knows [`Queues`], and neither HTTP nor terminals.
//!
//! Points in time are milliseconds since 1970 (`…_at_ms`); durations and sizes carry their unit in
//! their names too.

pub mod backup;
pub mod body;
pub mod code;
pub mod cron;
pub mod dead;
pub mod group;
pub mod handler;
pub mod made;
pub mod message;
pub mod one;
pub mod problem;
pub mod pull;
pub mod queue;
pub mod redrive;
pub mod reply;
pub mod search;
pub mod server;
#[cfg(test)]
pub(crate) mod tests;
pub mod token;
pub mod topic;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::{MessageId, NewMessage, QueueName};
use gristmill_store::{AdminError, DeadFilter, DeadSummary, Outgoing, PurgeStates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub use backup::{BackupOrder, BackupView};
pub use code::Code;
pub use cron::CronView;
pub use dead::{DeadGroupView, DeadItem, DeadLetterView, DeadPage, FilterView};
pub use group::{HaltedGroupView, HaltedPage, ResumeOrder};
pub use handler::{BatchesView, HandlerStatus, HandlerView, VersionView};
pub use made::{MadeView, OneQueue};
pub use message::{BatchIn, CopySent, MessageIn, Sent};
pub use one::{MessageView, MoveOrder, Moved};
pub use problem::{Problem, ProblemJson};
pub use pull::{LeaseView, ReceiveOrder, SettleOrder, SettledView};
pub use queue::{QueuePage, QueueView};
pub use redrive::{Edited, RedriveIn, RedriveOut, RedriveView};
pub use reply::{Pending, Replied, ReplyView};
pub use search::{DeadOrder, DeadSearch};
pub use server::{ServerView, VersionAnswer};
pub use token::{TokenIn, TokenOut, TokenView};
pub use topic::TopicView;
pub use view::WaitingView;

use crate::auth::Access;
use crate::queues::Queues;

/// The most messages that one look into a queue returns.
pub const MAX_PEEK: usize = 100;
/// The most dead letters, or halted groups, on one page.
pub const MAX_PAGE: usize = 1000;
/// The most messages that are sent together.
pub const MAX_BATCH: usize = 10_000;
/// The most bytes of a batch, as JSON.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// How many may wait for a reply at once, over the socket. Fewer than may be connected, so that others
/// can always ask for something.
pub const MAX_REPLY_WAITS: usize = 128;
/// The longest time that one request waits for a reply; more is waited for by asking again.
pub const MAX_REPLY_WAIT: Duration = Duration::from_secs(300);
/// How long it waits unless it says otherwise.
pub const REPLY_WAIT: Duration = Duration::from_secs(30);

/// Says what the handlers of the host are doing.
pub type ListHandlers = Arc<dyn Fn() -> Vec<HandlerView> + Send + Sync>;

/// A list, as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub struct Items<T> {
    /// What was asked for.
    pub items: Vec<T>,
}

/// How many were touched, or would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// How many.
    pub count: u64,
}

/// What of a queue is to be purged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PurgeOrder {
    /// `ready`, `scheduled`, `dead`: at least one.
    pub states: Vec<String>,
}

/// What front ends may ask for. Clones are one.
#[derive(Clone)]
pub struct Api {
    queues: Queues,
    handlers: Option<ListHandlers>,
    crontab: cron::Entries,
    waits: Arc<Semaphore>,
    access: Option<Access>,
    about: server::About,
}

impl Api {
    /// Of a host whose handlers are told by `handlers`.
    #[must_use]
    pub fn new(queues: Queues, handlers: ListHandlers) -> Self {
        Api {
            queues,
            handlers: Some(handlers),
            crontab: cron::Entries::AtRest(Arc::default()),
            waits: Arc::new(Semaphore::new(MAX_REPLY_WAITS)),
            access: None,
            about: server::About::default(),
        }
    }

    /// Of a store that no host serves.
    #[must_use]
    pub fn without_host(queues: Queues) -> Self {
        Api {
            queues,
            handlers: None,
            crontab: cron::Entries::AtRest(Arc::default()),
            waits: Arc::new(Semaphore::new(MAX_REPLY_WAITS)),
            access: None,
            about: server::About::default(),
        }
    }

    /// The queues behind it.
    #[must_use]
    pub fn service(&self) -> &Queues {
        &self.queues
    }

    /// What the handlers are doing; `None` if no host runs.
    #[must_use]
    pub fn handlers(&self) -> Option<Vec<HandlerView>> {
        self.handlers.as_ref().map(|list| list())
    }

    /// Sends messages to a queue or topic: all are durable when this returns, or none is.
    ///
    /// # Errors
    /// When one is refused, or it is not known whether they were accepted.
    pub async fn send_all(
        &self,
        queue: QueueName,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<Sent>, Problem> {
        let outgoing = |message| Outgoing {
            queue: queue.clone(),
            message,
        };
        self.send_batch(messages.into_iter().map(outgoing).collect())
            .await
    }

    /// Sends messages, each to its own queue or topic: all are durable when this returns, or none is.
    ///
    /// # Errors
    /// When one is refused, or it is not known whether they were accepted.
    pub async fn send_batch(&self, messages: Vec<Outgoing>) -> Result<Vec<Sent>, Problem> {
        if messages.len() > MAX_BATCH {
            return Err(Problem::new(
                Code::TooLarge,
                format!(
                    "{} messages are sent together, but at most {MAX_BATCH} may be: send them in parts",
                    messages.len()
                ),
            ));
        }
        let accepted = self.queues.send_all(messages).await?;
        Ok(accepted.into_iter().map(Sent::from).collect())
    }

    /// The next messages of a queue, at most [`MAX_PEEK`]; changes nothing.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn peek(&self, queue: QueueName, limit: usize) -> Result<Vec<WaitingView>, Problem> {
        let peeked = self.queues.peek(queue, limit.min(MAX_PEEK)).await?;
        let now = self.queues.now();
        let show = |one| WaitingView::of(one, now);
        Ok(peeked.into_iter().map(show).collect())
    }

    /// A page of the dead letters of a queue; `cursor` is the [`DeadPage::next`] of the page before.
    ///
    /// # Errors
    /// When there is no such queue, or the cursor is none.
    pub async fn dead(
        &self,
        queue: QueueName,
        filter: DeadFilter,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<DeadPage, Problem> {
        let after = match cursor {
            None => 0,
            Some(text) => text.parse().map_err(|_| {
                Problem::bad_request(format!("cursor {text:?} is none: use the `next` of a page"))
            })?,
        };
        let limit = limit.clamp(1, MAX_PAGE);
        self.read(move |queues| {
            let found = queues.dead(&queue, &filter, after, limit)?;
            let next =
                (found.len() == limit).then(|| found.last().map(|one| one.sequence.to_string()));
            let mut items = Vec::with_capacity(found.len());
            for summary in &found {
                items.extend(item(queues, &queue, summary)?);
            }
            Ok(DeadPage {
                items,
                next: next.flatten(),
            })
        })
        .await
    }

    /// One dead letter, whole.
    ///
    /// # Errors
    /// When there is no such queue or letter.
    pub async fn dead_letter(
        &self,
        queue: QueueName,
        id: MessageId,
    ) -> Result<DeadLetterView, Problem> {
        self.read(move |queues| Ok(queues.dead_letter_of(&queue, id)?.into()))
            .await
    }

    /// Removes dead letters for good, or only counts them.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn purge_dead(
        &self,
        queue: QueueName,
        filter: DeadFilter,
        dry_run: bool,
    ) -> Result<u64, Problem> {
        if dry_run {
            return self.count_dead(queue, filter).await;
        }
        let dead = PurgeStates {
            dead: true,
            ..PurgeStates::default()
        };
        Ok(self.queues.purge(queue, dead, filter).await?)
    }

    /// Removes all messages in these states; never what is in flight.
    ///
    /// # Errors
    /// When no state is named, or there is no such queue.
    pub async fn purge(&self, queue: QueueName, states: PurgeStates) -> Result<u64, Problem> {
        if states == PurgeStates::default() {
            return Err(Problem::bad_request(
                "a purge names what it removes: ready, scheduled, dead, or several of them",
            ));
        }
        Ok(self
            .queues
            .purge(queue, states, DeadFilter::default())
            .await?)
    }

    /// Stops leasing from a queue; lasts over restarts.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn pause(&self, queue: QueueName) -> Result<(), Problem> {
        Ok(self.queues.pause(queue).await?)
    }

    /// Leases from a queue again.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn resume(&self, queue: QueueName) -> Result<(), Problem> {
        Ok(self.queues.resume(queue).await?)
    }

    async fn count_dead(&self, queue: QueueName, filter: DeadFilter) -> Result<u64, Problem> {
        self.read(move |queues| Ok(queues.dead(&queue, &filter, 0, usize::MAX)?.len() as u64))
            .await
    }

    /// Reads from the store on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Queues) -> Result<T, AdminError> + Send + 'static,
    ) -> Result<T, Problem> {
        let queues = self.queues.clone();
        match tokio::task::spawn_blocking(move || read(&queues)).await {
            Ok(found) => Ok(found?),
            Err(error) => Err(Problem::new(
                Code::StoreFailed,
                format!("reading the store failed: {error}"),
            )),
        }
    }
}

/// A dead letter as it stands in a list; `None` if it left meanwhile.
fn item(
    queues: &Queues,
    queue: &QueueName,
    summary: &DeadSummary,
) -> Result<Option<DeadItem>, AdminError> {
    match queues.dead_letter(queue, summary.sequence) {
        Ok(letter) => Ok(letter.map(|letter| DeadItem::of(summary, Some(&letter)))),
        Err(AdminError::Damaged(_)) => Ok(Some(DeadItem::of(summary, None))),
        Err(error) => Err(error),
    }
}

impl TryFrom<&PurgeOrder> for PurgeStates {
    type Error = Problem;

    fn try_from(order: &PurgeOrder) -> Result<Self, Problem> {
        let mut states = PurgeStates::default();
        for state in &order.states {
            match state.as_str() {
                "ready" => states.ready = true,
                "scheduled" => states.scheduled = true,
                "dead" => states.dead = true,
                other => {
                    return Err(Problem::bad_request(format!(
                        "{other:?} cannot be purged: use ready, scheduled or dead; what is in flight stays"
                    )));
                }
            }
        }
        Ok(states)
    }
}

impl From<PurgeStates> for PurgeOrder {
    fn from(states: PurgeStates) -> Self {
        let named = [
            (states.ready, "ready"),
            (states.scheduled, "scheduled"),
            (states.dead, "dead"),
        ];
        let chosen = named.into_iter().filter(|(chosen, _)| *chosen);
        PurgeOrder {
            states: chosen.map(|(_, name)| name.to_owned()).collect(),
        }
    }
}
