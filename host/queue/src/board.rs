//! All queues at a glance: who waits, who is in flight, and who may start.
//!
//! The board is the one owner of the ready order, the leases and the depths. It is kept by the
//! store's writer, which is the only caller that changes it; it decides, the writer records. What
//! it holds in memory can be rebuilt from the store's index rows ([`Row`]), except for the leases of
//! handlers, which end with the process on purpose. Those of pull consumers are rows, too.
//!
//! The writer's round is: [`Board::advance`]; settle and [`Board::remove`] what [`Board::expired`]
//! names, and settle and [`Board::end`] what [`Board::lapsed`] names; give pull consumers what they
//! wait for ([`Board::next_called`], [`Board::claim_pulled`], [`Board::lease_pulled`]); then [`Board::claim`] and [`Board::lease`], one message after the other; then wait until
//! [`Board::next_wake`] or the next operation.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::bug::{Bug, is_planted};
use crate::outcome::{HandedBack, Outcome};
use crate::ready::Place;
use crate::settle::Settlement;
use crate::{QueueName, QueuePolicy, Timestamp};

mod ages;
mod claim;
mod flow;
mod groups;
mod pool;
mod pull;
mod queue;
mod row;
#[cfg(test)]
mod tests;
mod view;

pub use groups::{Doomed, GroupDeath};
pub use pull::PullTerms;
pub use row::{
    AfterCrash, Claim, ExpiresFirst, Fence, LeaseLost, QueueFull, QueueId, Removal, Row,
};
pub use view::{Depths, Gate, QueueView, Totals};

use pool::{Pool, PoolId};
use queue::Queue;

#[derive(Debug)]
struct Lease {
    fence: Fence,
    row: Row,
    conflicts: u32,
    /// Whose slot it takes besides one of its queue.
    pool: Option<PoolId>,
    /// If a pull consumer holds it.
    pull: Option<PullTerms>,
}

/// All queues of a store.
#[derive(Debug)]
pub struct Board {
    boot: u64,
    next_lease: u64,
    queues: Vec<Queue>,
    /// One for each name that was ever given; handlers are few.
    pools: Vec<Pool>,
    names: HashMap<QueueName, QueueId>,
    leases: BTreeMap<u64, Lease>,
    /// When which lease of a pull consumer ends.
    pull_ends: BTreeSet<(Timestamp, u64)>,
    /// Claimed by or leased to handlers.
    in_flight: usize,
    /// Queues for whose messages pull consumers wait, and which may have some.
    called: VecDeque<QueueId>,
    /// Queues that may have something to start. One that has stands in here; one that no longer
    /// has may too, and is skipped.
    candidates: VecDeque<QueueId>,
    /// When the next scheduled message of each queue is due, or the next token comes.
    wakes: BTreeSet<(Timestamp, QueueId)>,
    /// When the next waiting message of each queue expires.
    expiries: BTreeSet<(Timestamp, QueueId)>,
    /// Wait in their queues like any other, but run alone and before all others. At most as many
    /// as could be in flight when the host died, so they are looked through one by one.
    suspects: VecDeque<(QueueId, Place)>,
    /// How often waiting messages met a conflict.
    conflicts: HashMap<u64, u32>,
    /// The suspect in flight.
    alone: Option<u64>,
    /// Groups whose rest is to die.
    doomed: BTreeMap<(QueueId, u64), Doomed>,
    /// When it was last told to advance.
    now: Timestamp,
}

impl Board {
    /// An empty board for the `boot`-th start of the host.
    #[must_use]
    pub fn new(boot: u64) -> Self {
        Board {
            boot,
            next_lease: 1,
            queues: Vec::new(),
            pools: Vec::new(),
            names: HashMap::new(),
            leases: BTreeMap::new(),
            pull_ends: BTreeSet::new(),
            in_flight: 0,
            called: VecDeque::new(),
            candidates: VecDeque::new(),
            wakes: BTreeSet::new(),
            expiries: BTreeSet::new(),
            suspects: VecDeque::new(),
            conflicts: HashMap::new(),
            alone: None,
            doomed: BTreeMap::new(),
            now: Timestamp::ZERO,
        }
    }

    /// Adds a queue that is in the store. It is not declared until [`Board::declare`] says so.
    ///
    /// # Panics
    /// When a name comes twice or after 2^32 queues.
    pub fn add_queue(&mut self, name: QueueName, paused: bool, dead: u64) -> QueueId {
        let id = QueueId(u32::try_from(self.queues.len()).expect("fewer than 2^32 queues"));
        assert!(
            self.names.insert(name.clone(), id).is_none(),
            "queue {name} is added twice"
        );
        self.queues.push(Queue::new(name, paused, dead));
        id
    }

    /// The queue of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<QueueId> {
        self.names.get(name).copied()
    }

    /// The name of a queue.
    #[must_use]
    pub fn name(&self, queue: QueueId) -> &QueueName {
        &self.queue(queue).name
    }

    /// What is configured for a queue.
    #[must_use]
    pub fn policy(&self, queue: QueueId) -> &Arc<QueuePolicy> {
        &self.queue(queue).policy
    }

    /// Whether there is a queue of this number.
    #[must_use]
    pub fn has(&self, queue: QueueId) -> bool {
        (queue.0 as usize) < self.queues.len()
    }

    /// All queues.
    pub fn ids(&self) -> impl Iterator<Item = QueueId> + use<> {
        (0..u32::try_from(self.queues.len()).unwrap_or(u32::MAX)).map(QueueId)
    }

    /// Says what is configured for a queue. What is in flight goes on, and counts under the new
    /// limits. Messages keep the key that was read when they were accepted.
    pub fn declare(&mut self, queue: QueueId, policy: QueuePolicy) {
        let rows = self.leases.values().map(|lease| &lease.row);
        let in_flight = rows.filter(|row| row.queue == queue);
        let entry = &mut self.queues[queue.0 as usize];
        entry.set_policy(policy, in_flight.map(|row| row.place.key), self.now);
        entry.declared = true;
        entry.keep_ages();
        self.consider(queue);
    }

    /// Says that the configuration no longer names a queue. Its messages stay and wait.
    pub fn undeclare(&mut self, queue: QueueId) {
        self.queue_mut(queue).declared = false;
        self.consider(queue);
    }

    /// Whether the configuration names the queue.
    #[must_use]
    pub fn is_declared(&self, queue: QueueId) -> bool {
        self.queue(queue).declared
    }

    /// Stops or resumes leasing. What is in flight goes on.
    pub fn set_paused(&mut self, queue: QueueId, paused: bool) {
        self.queue_mut(queue).paused = paused;
        self.consider(queue);
    }

    /// Says how many messages the queue's handler can run at once; 0 while there is none.
    pub fn set_slots(&mut self, queue: QueueId, slots: u32) {
        self.queue_mut(queue).slots = slots;
        self.consider(queue);
    }

    /// Takes in a message that was just accepted.
    pub fn accept(&mut self, row: &Row, now: Timestamp) {
        let entry = self.queue_mut(row.queue);
        entry.totals.sent += 1;
        entry.sent.mark(now);
        self.take_in(row, now);
    }

    /// Takes in a message that was found in the store at start-up, in any order: groups are sorted
    /// by ordinal. Call it for all of them before the first [`Board::claim`].
    pub fn restore(&mut self, row: &Row, now: Timestamp) {
        if row.suspect {
            self.suspects.push_back((row.queue, row.place));
        }
        self.take_in(row, now);
    }

    /// Takes back a message from the dead store.
    pub fn redrive(&mut self, row: &Row, now: Timestamp) {
        let entry = self.queue_mut(row.queue);
        entry.totals.redriven += 1;
        entry.dead -= 1;
        self.take_in(row, now);
    }

    /// Takes in a message that died in another queue, whose letters are kept here, or that leaves the
    /// dead store of another queue.
    pub fn take_over(&mut self, from: QueueId, row: &Row, now: Timestamp) {
        self.queue_mut(from).dead -= 1;
        self.accept(row, now);
    }

    /// Says that a message died before it was restored: the host had died once too often with it.
    pub fn note_dead(&mut self, queue: QueueId) {
        let entry = self.queue_mut(queue);
        entry.dead += 1;
        entry.totals.died += 1;
    }

    /// Says that dead letters were removed.
    pub fn forget_dead(&mut self, queue: QueueId, count: u64, purged: bool) {
        let entry = self.queue_mut(queue);
        entry.dead -= count;
        if purged {
            entry.totals.purged += count;
        }
    }

    fn take_in(&mut self, row: &Row, now: Timestamp) {
        self.queue_mut(row.queue).enter(row, now);
        self.consider(row.queue);
    }

    /// Makes ready what has become due and lets tokens come in. Call it before [`Board::claim`] whenever time has passed.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some(&(due, queue)) = self.wakes.first() {
            if due > now {
                break;
            }
            let entry = self.queue_mut(queue);
            entry.pass(now);
            entry.order.promote(now);
            self.consider(queue);
        }
    }

    /// When [`Board::advance`], [`Board::expired`] or [`Board::lapsed`] has something to do next.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let first = |times: &BTreeSet<(Timestamp, QueueId)>| times.first().map(|&(due, _)| due);
        let lapse = self.pull_ends.first().map(|&(ends, _)| ends);
        let next = [first(&self.wakes), first(&self.expiries), lapse];
        next.into_iter().flatten().min()
    }

    /// The row of a leased message.
    ///
    /// # Errors
    /// When the lease is no longer held.
    pub fn leased(&self, fence: Fence) -> Result<&Row, LeaseLost> {
        match self.leases.get(&fence.sequence) {
            Some(lease) if lease.fence == fence || is_planted(Bug::NoFence) => Ok(&lease.row),
            _ => Err(LeaseLost),
        }
    }

    /// Every lease that is held now.
    pub fn leases(&self) -> impl Iterator<Item = (Fence, QueueId)> + '_ {
        self.leases
            .values()
            .map(|lease| (lease.fence, lease.row.queue))
    }

    /// Ends a lease as was decided (see [`Row::settle`]). Returns the message's new row if it stays
    /// in the queue (see [`Row::after`]).
    ///
    /// # Errors
    /// When the lease is no longer held; then nothing changes.
    pub fn end(
        &mut self,
        fence: Fence,
        outcome: &Outcome,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Option<Row>, LeaseLost> {
        self.leased(fence)?;
        let conflicts = self.leases[&fence.sequence].conflicts;
        let row = self.take_lease(fence)?;
        let stays = row.after(outcome, settlement);
        let entry = self.queue_mut(row.queue);
        entry.count_end(outcome, settlement, now);
        match &stays {
            Some(row) => entry.put_back(row, now),
            None => entry.depart(&row, now),
        }
        if let Some(row) = stays {
            if row.suspect {
                self.suspects.push_back((row.queue, row.place));
            }
            if *outcome == Outcome::HandedBack(HandedBack::Conflict) {
                self.conflicts.insert(fence.sequence, conflicts + 1);
            }
        }
        self.consider(row.queue);
        Ok(stays)
    }

    /// Takes a lease away: its message is no longer in flight, and nowhere else yet.
    fn take_lease(&mut self, fence: Fence) -> Result<Row, LeaseLost> {
        self.leased(fence)?;
        let lease = self.leases.remove(&fence.sequence).ok_or(LeaseLost)?;
        let Row { queue, place, .. } = lease.row;
        match lease.pull {
            Some(terms) => {
                self.pull_ends.remove(&(terms.ends_at, fence.sequence));
                self.land_pulled(queue, &place);
            }
            None => self.land(queue, &place, lease.pool),
        }
        Ok(lease.row)
    }

    /// Removes a waiting message for good, because it expired or an operator purged it.
    ///
    /// # Panics
    /// When the message does not wait where `row` says: the store's index and the board differ.
    pub fn remove(&mut self, row: &Row, why: Removal, now: Timestamp) {
        let sequence = row.place.sequence;
        self.forget_marks(sequence);
        let entry = self.queue_mut(row.queue);
        assert!(
            entry.order.remove(&row.place),
            "message {sequence} is removed from queue {}, but does not wait there",
            entry.name
        );
        entry.count_removal(why);
        entry.depart(row, now);
        self.consider(row.queue);
    }

    /// Changes when a waiting message is due. Returns its new row, which the store is to keep.
    ///
    /// # Panics
    /// When the message does not wait where `row` says: the store's index and the board differ.
    pub fn reschedule(&mut self, row: &Row, due: Timestamp, now: Timestamp) -> Row {
        let sequence = row.place.sequence;
        let entry = self.queue_mut(row.queue);
        entry.pass(now);
        assert!(
            entry.order.reschedule(&row.place, due, now),
            "message {sequence} is moved in queue {}, but does not wait there",
            entry.name
        );
        let mut suspects = self.suspects.iter_mut();
        if let Some((_, place)) = suspects.find(|(_, place)| place.sequence == sequence) {
            place.due = due;
        }
        self.consider(row.queue);
        let place = Place { due, ..row.place };
        Row { place, ..*row }
    }

    /// Whether a waiting message has no other of its group before it.
    #[must_use]
    pub fn has_turn(&self, row: &Row) -> bool {
        self.queue(row.queue).order.has_turn(&row.place)
    }

    /// Drops a waiting message whose row cannot be read, and says whether it was found. It looks
    /// through everything that waits, so it is for damage only. The bytes of its body stay counted
    /// until the next start, since nobody knows how many they were.
    pub fn forget(&mut self, sequence: u64, now: Timestamp) -> bool {
        if self.is_leased(sequence) {
            return false;
        }
        let ids: Vec<QueueId> = self.ids().collect();
        let evict = |queue: &QueueId| self.queue_mut(*queue).evict(sequence, now);
        let Some(queue) = ids.into_iter().find(evict) else {
            return false;
        };
        self.forget_marks(sequence);
        self.consider(queue);
        true
    }

    fn forget_marks(&mut self, sequence: u64) {
        self.suspects
            .retain(|(_, place)| place.sequence != sequence);
        self.conflicts.remove(&sequence);
    }

    /// A waiting message that has expired at `now`, if there is one. It stays until
    /// [`Board::remove`] is called for it; until then its queue delivers nothing.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> Option<u64> {
        let &(expiry, queue) = self.expiries.first()?;
        if expiry > now {
            return None;
        }
        let first = self.queue(queue).expiring.first();
        first.map(|&(_, sequence)| sequence)
    }

    /// The messages of a queue that wait, by sequence: those that are due in the order of their
    /// delivery, then those that are scheduled, then those that wait behind others of their group,
    /// group by group.
    pub fn waiting(&self, queue: QueueId) -> impl Iterator<Item = u64> + '_ {
        self.queue(queue).order.waiting()
    }

    /// Whether a message is leased.
    #[must_use]
    pub fn is_leased(&self, sequence: u64) -> bool {
        self.leases.contains_key(&sequence)
    }

    /// How many messages are in flight in handlers of all queues together.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn queue(&self, queue: QueueId) -> &Queue {
        &self.queues[queue.0 as usize]
    }

    fn queue_mut(&mut self, queue: QueueId) -> &mut Queue {
        &mut self.queues[queue.0 as usize]
    }

    /// Notes that a queue may have something to start now or later.
    fn consider(&mut self, queue: QueueId) {
        let entry = &mut self.queues[queue.0 as usize];
        if !entry.candidate && !entry.in_line && entry.is_open() && entry.order.is_ready() {
            entry.candidate = true;
            self.candidates.push_back(queue);
        }
        if entry.receivers && !entry.called && entry.is_open_to_pull() && entry.order.is_ready() {
            entry.called = true;
            self.called.push_back(queue);
        }
        self.set_wakes(queue);
    }

    /// Notes when a queue has something to do next.
    fn set_wakes(&mut self, queue: QueueId) {
        let entry = &mut self.queues[queue.0 as usize];
        let wake = entry.next_wake();
        set_wake(&mut self.wakes, queue, &mut entry.wake, wake);
        let expiry = entry.next_expiry();
        set_wake(&mut self.expiries, queue, &mut entry.expiry, expiry);
    }
}

fn set_wake(
    times: &mut BTreeSet<(Timestamp, QueueId)>,
    queue: QueueId,
    standing: &mut Option<Timestamp>,
    wanted: Option<Timestamp>,
) {
    if *standing == wanted {
        return;
    }
    if let Some(old) = *standing {
        times.remove(&(old, queue));
    }
    if let Some(new) = wanted {
        times.insert((new, queue));
    }
    *standing = wanted;
}
