//! The service: the verbs that every front end and the dispatcher call.
//!
//! It speaks of queues and messages, never of tables or transactions, so that another engine could
//! stand behind it. Nobody else calls the store.

mod admission;
mod backup;
mod large;
mod made;
mod pull;
pub mod receipt;
mod replies;
mod turned_away;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gristmill_queue::board::QueueView;
use gristmill_queue::effects::StateReader;
use gristmill_queue::message::Due;
use gristmill_queue::{IdSource, MessageId, NewMessage, QueueName, Timestamp};
use gristmill_store::{
    Accepted, AdminError, CronEntry, CronMark, DeadFilter, DeadGroup, DeadLetter, DeadSummary,
    Drift, Fired, Firing, Found, HaltedGroup, Outgoing, Peeked, PurgeStates, RedriveOrder,
    RedriveUnderWay, Redriven, ReturnableGroup, SendError, Sent, Sink, Slots, Store, TopicView,
};
use tokio::sync::watch;

use admission::Admission;

pub use made::{Known, Made, MakeError, read_made};
pub use receipt::Receipt;

/// All queues of a host.
#[derive(Clone)]
pub struct Queues {
    store: Store,
    catalogue: Arc<made::Catalogue>,
    admission: Arc<Admission>,
    /// No reply comes any more.
    stopping: Arc<watch::Sender<bool>>,
}

impl Queues {
    /// The queues that are kept in a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Queues {
            store,
            catalogue: Arc::default(),
            admission: Arc::new(Admission::new(Duration::MAX)),
            stopping: Arc::new(watch::Sender::new(false)),
        }
    }

    /// While sends take longer than that, from here until they are durable, fewer are let in at once, and the
    /// others refused.
    #[must_use]
    pub fn with_max_wait(mut self, max_wait: Duration) -> Self {
        self.admission = Arc::new(Admission::new(max_wait));
        self
    }

    /// The time of the queues.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// How many sends and receives were turned away since the start because there was too much to do.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.admission.count()
    }

    /// How far that time is from the wall clock.
    #[must_use]
    pub fn drift(&self) -> Drift {
        self.store.drift()
    }

    /// Sends a message; it is durable when this returns.
    ///
    /// # Errors
    /// See [`Queues::send_all`].
    pub async fn send(&self, queue: QueueName, message: NewMessage) -> Result<Accepted, SendError> {
        let sent = self.send_all(vec![Outgoing { queue, message }]).await?;
        let first = sent.first().map(|sent| sent.accepted);
        first.ok_or(SendError::Unknown)
    }

    /// Sends messages, to one queue or topic or several: all are durable when this returns, or none is.
    ///
    /// # Errors
    /// When one is refused, or when it is not known whether they were accepted.
    pub async fn send_all(&self, batch: Vec<Outgoing>) -> Result<Vec<Sent>, SendError> {
        self.admit(self.store.send(batch)).await
    }

    /// Does what sends, unless there is too much to do.
    async fn admit<T>(
        &self,
        send: impl Future<Output = Result<T, SendError>>,
    ) -> Result<T, SendError> {
        let entered = self.admission.enter()?;
        let sent = send.await;
        if matches!(sent, Err(SendError::Busy { .. })) {
            entered.refuse();
        }
        sent
    }

    /// All topics by name, with what is counted of them.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn topics(&self) -> Result<Vec<TopicView>, AdminError> {
        self.store.topics().await
    }

    /// All queues: depths, rates and what keeps them from delivering.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn list(&self) -> Result<Vec<QueueView>, AdminError> {
        self.store.views().await
    }

    /// The next messages of a queue, in the order in which they are due; changes nothing.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn peek(&self, queue: QueueName, limit: usize) -> Result<Vec<Peeked>, AdminError> {
        self.store.peek(queue, limit).await
    }

    /// The dead letters of a queue, in original order.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn dead(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DeadSummary>, AdminError> {
        self.store.dead(queue, filter, after, limit)
    }

    /// The dead letters of a queue, grouped by what they died of.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn dead_groups(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
    ) -> Result<Vec<DeadGroup>, AdminError> {
        self.store.dead_groups(queue, filter)
    }

    /// What waits in a queue and died in another, grouped alike.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn returnable_groups(
        &self,
        queue: QueueName,
        filter: &DeadFilter,
    ) -> Result<Vec<ReturnableGroup>, AdminError> {
        self.store.returnable_groups(queue, filter).await
    }

    /// One dead letter, whole, by the number in a [`DeadSummary`].
    ///
    /// # Errors
    /// When there is no such queue, or the letter is damaged.
    pub fn dead_letter(
        &self,
        queue: &QueueName,
        sequence: u64,
    ) -> Result<Option<DeadLetter>, AdminError> {
        self.store.dead_letter(queue, sequence)
    }

    /// One dead letter, whole, by its message's id.
    ///
    /// # Errors
    /// When there is no such letter, or it is damaged.
    pub fn dead_letter_of(
        &self,
        queue: &QueueName,
        id: MessageId,
    ) -> Result<DeadLetter, AdminError> {
        self.store.dead_letter_of(queue, id)
    }

    /// Starts a redrive; without a rate, it is done when this returns.
    ///
    /// # Errors
    /// When there is no such queue, or the one where the letters are to go is not declared.
    pub async fn redrive(
        &self,
        queue: QueueName,
        order: RedriveOrder,
    ) -> Result<Redriven, AdminError> {
        self.store.start_redrive(queue, order).await
    }

    /// Sends a dead letter again with another body, and removes it. Returns the new message's id.
    ///
    /// # Errors
    /// When there is no such letter, or the body is too large for the queue.
    pub async fn redrive_edited(
        &self,
        queue: QueueName,
        id: MessageId,
        body: Bytes,
    ) -> Result<MessageId, AdminError> {
        self.store.redrive_edited(queue, id, body).await
    }

    /// All redrives that go on by themselves.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn redrives(&self) -> Result<Vec<RedriveUnderWay>, AdminError> {
        self.store.redrives().await
    }

    /// Ends a redrive where it is. Says how many letters it has taken.
    ///
    /// # Errors
    /// When it is not under way.
    pub async fn cancel_redrive(&self, number: u64) -> Result<u64, AdminError> {
        self.store.cancel_redrive(number).await
    }

    /// Removes waiting messages or dead letters; never what is in flight. Says how many.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn purge(
        &self,
        queue: QueueName,
        states: PurgeStates,
        filter: DeadFilter,
    ) -> Result<u64, AdminError> {
        self.store.purge(queue, states, filter).await
    }

    /// Where a message is, and all that is known of it.
    ///
    /// # Errors
    /// When it is not here, or damaged.
    pub async fn find(&self, id: MessageId) -> Result<Found, AdminError> {
        self.store.find(id).await
    }

    /// Removes a waiting message for good.
    ///
    /// # Errors
    /// When it does not wait: it is in flight, dead, or not here.
    pub async fn cancel(&self, id: MessageId) -> Result<(), AdminError> {
        self.store.cancel(id).await
    }

    /// Changes when a waiting message is due. Says when that is.
    ///
    /// # Errors
    /// When it does not wait, or would expire first.
    pub async fn move_to(&self, id: MessageId, to: Due) -> Result<Timestamp, AdminError> {
        self.store.move_to(id, to).await
    }

    /// Declares exactly these entries of the crontab, and says how far each has come.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn declare_cron(&self, entries: Vec<CronEntry>) -> Result<Vec<CronMark>, AdminError> {
        self.store.declare_cron(entries).await
    }

    /// How far each entry of the crontab has come, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn cron_marks(&self) -> Result<Vec<(String, CronMark)>, AdminError> {
        self.store.cron_marks()
    }

    /// Does ticks of the crontab, each once and by itself.
    ///
    /// # Errors
    /// Of one tick: when its message is refused. Of all: when the store closed meanwhile.
    pub async fn fire(
        &self,
        firings: Vec<Firing>,
    ) -> Result<Vec<Result<Fired, SendError>>, AdminError> {
        self.store.fire(firings).await
    }

    /// The halted groups of a queue in the order of their hashes, after that one, at most `limit`.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn halted_groups(
        &self,
        queue: QueueName,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HaltedGroup>, AdminError> {
        self.store.halted_groups(queue, after, limit).await
    }

    /// Delivers a halted group again, or all of a queue if none is named. Says how many were halted.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn resume_groups(
        &self,
        queue: QueueName,
        group: Option<String>,
    ) -> Result<u64, AdminError> {
        self.store.resume_groups(queue, group).await
    }

    /// Stops leasing from a queue; lasts over restarts.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn pause(&self, queue: QueueName) -> Result<(), AdminError> {
        self.store.set_paused(queue, true).await
    }

    /// Leases from a queue again.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn resume(&self, queue: QueueName) -> Result<(), AdminError> {
        self.store.set_paused(queue, false).await
    }

    /// Delivers the messages of a queue to `sink`, at most as many at once as `slots` says.
    pub fn attach(&self, queue: QueueName, slots: impl Into<Slots>, sink: Arc<dyn Sink>) {
        self.store.attach(queue, slots, sink);
    }

    /// Delivers no more messages of a queue.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn detach(&self, queue: QueueName) -> Result<(), AdminError> {
        self.store.detach(queue).await
    }

    /// The committed state of a handler.
    #[must_use]
    pub fn state(&self, handler: Arc<str>) -> Arc<dyn StateReader> {
        self.store.state(handler)
    }

    /// Where the ids of messages come from.
    #[must_use]
    pub fn ids(&self) -> Arc<IdSource> {
        self.store.ids()
    }

    /// Commits what waits and closes the store.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
