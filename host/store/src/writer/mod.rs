//! The one writer: a thread that owns the board and every write transaction.
//!
//! It takes what waits, applies each operation to the board and to one transaction, commits, and
//! only then answers and grants leases. There is no timer: what arrives during the fsync is the
//! next group. If the commit fails, nothing definite can be said about the group, so nothing is
//! answered and the process is told to exit.

mod admin;
mod answers;
mod blob;
pub(crate) mod bury;
mod change;
mod commit;
mod cron;
mod grant;
pub(crate) mod group;
pub(crate) mod held;
mod hot;
mod made;
mod pull;
mod receive;
pub(crate) mod redrive;
mod replies;
mod revive;
#[cfg(feature = "seeded-bugs")]
pub(crate) mod seeded;
mod send;
mod settle;
mod sweep;
mod time;
mod topics;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::board::QueueId;
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::{Board, IdSource, Message, Timestamp};

use crate::checkpoint::Checkpoints;
use crate::clock::RunningClock;
use crate::error::{Fatal, panicked};
use crate::inbox::Inbox;
use crate::inflight::InFlightFile;
use crate::log::Log;
use crate::open::Opened;
use crate::ops::{Op, Reply, Sink};
use crate::verify;
pub use answers::Elsewhere;
pub(crate) use blob::Large;
use bury::Moved;
use group::Group;
use held::Rest;
pub(crate) use hot::Hot;
pub(crate) use made::Made;
pub(crate) use receive::Receivers;
use redrive::Running;
use replies::Replies;
pub(crate) use send::group_hash;
pub(crate) use settle::extend_history;
use topics::Topics;

/// How often ids whose dedup window has ended are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Called once, when the store failed and the process has to exit.
pub type OnFatal = Box<dyn FnOnce(&Fatal) + Send>;

pub(crate) struct Writer {
    pub database: Arc<Opened>,
    pub inbox: Arc<Inbox>,
    pub board: Board,
    pub ids: Arc<IdSource>,
    pub clock: RunningClock,
    pub inflight: InFlightFile,
    pub next_ordinal: u64,
    pub log: Log,
    pub checkpoints: Checkpoints,
    pub hot: Hot,
    pub sinks: HashMap<QueueId, Arc<dyn Sink>>,
    pub leased: HashMap<u64, InHand>,
    /// When which dead letter is forgotten.
    pub forget: BTreeSet<(Timestamp, QueueId, u64)>,
    /// What is to die with a message of its group.
    pub rests: HashMap<(QueueId, u64), Rest>,
    /// The redrives under way, by number.
    pub redrives: BTreeMap<u64, Running>,
    /// What died and was moved, until the board knows.
    pub moved: Vec<Moved>,
    pub topics: Topics,
    pub replies: Replies,
    pub made: Made,
    pub receivers: Receivers,
    pub on_fatal: Option<OnFatal>,
    pub answer_elsewhere: Option<Elsewhere>,
    pub last_now: Timestamp,
    /// The time in the last commit.
    pub time_written: Timestamp,
    pub next_housekeeping: Timestamp,
    /// What is to be done in the next group.
    pub todo: Vec<Op>,
    pub answers: Vec<Answer>,
    pub ended_slots: Vec<usize>,
    /// Failed together with others, in one instance or one batch; they run alone in a fresh one next.
    pub fresh_next: HashSet<u64>,
    pub large: Large,
    /// The data folder.
    pub folder: PathBuf,
}

pub(crate) type Answer = Box<dyn FnOnce() + Send>;

/// A leased message.
pub(crate) struct InHand {
    pub message: Arc<Message>,
    pub slot: usize,
}

impl Writer {
    /// Runs until it is told to close, or the store fails.
    pub fn run(mut self) {
        match self.work_or_panic() {
            Ok(closing) => {
                self.inbox.close();
                let ended = self.inflight.clear();
                if let Err(error) = ended {
                    tracing::warn!(%error, "the in-flight file could not be cleared");
                }
                // The database is closed cleanly before anyone hears of it.
                drop(self);
                for reply in closing {
                    let _ = reply.send(());
                }
            }
            Err(fatal) => {
                self.inbox.close();
                self.answers.clear();
                // It is not the fault of what is in flight that the host has to stop.
                let _ = self.inflight.clear();
                verify::mark(&self.folder);
                tracing::error!(error = %fatal, "the store failed; nothing under way is answered");
                if let Some(on_fatal) = self.on_fatal.take() {
                    on_fatal(&fatal);
                }
            }
        }
    }

    /// A panic, be it ours or redb's over a damaged page, ends the writer like a failed commit:
    /// nobody must wait for ever for an answer, and the process must not go on without a writer.
    fn work_or_panic(&mut self) -> Result<Vec<Reply<()>>, Fatal> {
        let worked = std::panic::catch_unwind(AssertUnwindSafe(|| self.work()));
        worked.unwrap_or_else(|cause| {
            Err(Fatal {
                doing: "writing",
                source: panicked(cause.as_ref()),
            })
        })
    }

    fn work(&mut self) -> Result<Vec<Reply<()>>, Fatal> {
        self.next_housekeeping = self.now().after(HOUSEKEEPING);
        loop {
            let mut ops = std::mem::take(&mut self.todo);
            let goes_on = self
                .next_redrive()
                .is_some_and(|next| next <= self.last_now);
            let patience = if ops.is_empty() && !goes_on {
                self.patience()
            } else {
                Some(Duration::ZERO)
            };
            ops.extend(self.inbox.take(patience));
            let closing = self.run_group(ops)?;
            self.hand_out()?;
            self.give_answers();
            self.large.unlink();
            if !closing.is_empty() {
                return Ok(closing);
            }
            self.end_slots();
            self.grant()?;
        }
    }

    /// How long there is nothing to do, if nothing arrives.
    fn patience(&self) -> Option<Duration> {
        let next = [
            self.board.next_wake(),
            self.forget.first().map(|&(time, ..)| time),
            Some(self.next_housekeeping),
            (!self.rests.is_empty()).then_some(self.last_now),
            self.next_redrive(),
            self.receivers.next_end(),
        ];
        next.into_iter()
            .flatten()
            .min()
            .and_then(|time| self.clock.until(time))
    }

    /// The time, which never runs backwards.
    fn now(&mut self) -> Timestamp {
        self.last_now = self.clock.now().max(self.last_now);
        self.last_now
    }

    /// Applies a group of operations and commits them together.
    fn run_group(&mut self, ops: Vec<Op>) -> Result<Vec<Reply<()>>, Fatal> {
        let now = self.now();
        self.board.advance(now);
        let database = Arc::clone(&self.database);
        let transaction = group::begin(&database)?;
        let redo = self.log.begin();
        let mut group = Group::open(&transaction, &redo)?;
        let mut closing = Vec::new();
        self.go_on_redriving(&mut group, now)?;
        for op in ops {
            match op {
                Op::Close { reply } => closing.push(reply),
                op => self.apply(op, &mut group, now)?,
            }
        }
        self.expire(&mut group, now)?;
        self.lapse(&mut group, now)?;
        self.bury_rests(&mut group, now)?;
        self.forget_dead(&mut group, now)?;
        self.housekeeping(&mut group, now)?;
        self.serve(&mut group, now)?;
        self.keep_time(&mut group, !closing.is_empty(), now);
        if !closing.is_empty() {
            group.needs_no_log()?;
        }
        let changed = group.finish(&self.clock_row(now))?;
        if is_planted(Bug::AnsweredBeforeCommit) {
            self.answers.drain(..).for_each(|answer| answer());
        }
        self.end_group(transaction, redo, changed, !closing.is_empty())?;
        if changed {
            self.time_written = now;
        }
        #[cfg(feature = "seeded-bugs")]
        self.catch_up(now)?;
        Ok(closing)
    }

    fn apply(&mut self, op: Op, group: &mut Group<'_>, now: Timestamp) -> Result<(), Fatal> {
        match op {
            Op::Send {
                batch,
                staged,
                reply,
            } => {
                self.large.stage(staged);
                let sent = self.send(batch, reply, group, now);
                self.large.unstage();
                sent
            }
            Op::Settle(settle, staged) => {
                self.large.stage(staged);
                let settled = self.settle(*settle, group, now);
                self.large.unstage();
                settled
            }
            Op::SettleBatch(settle, staged) => {
                self.large.stage(staged);
                let settled = self.settle_batch(*settle, group, now);
                self.large.unstage();
                settled
            }
            Op::Receive(asked) => {
                self.receive(*asked, now);
                Ok(())
            }
            Op::LeaveReceive { number } => {
                self.leave_receive(number);
                Ok(())
            }
            Op::SettlePulled {
                queue,
                verdicts,
                reply,
            } => self.settle_pulled(queue, verdicts, reply, group, now),
            Op::PutAside { fence } => self.put_aside(fence, group, now),
            Op::Purge(purge) => self.purge(purge, group, now),
            Op::Redrive(redrive) => self.redrive(*redrive, group, now),
            Op::RedriveEdited(edited) => self.redrive_edited(*edited, group, now),
            Op::CancelRedrive { number, reply } => self.cancel_redrive(number, reply, group),
            Op::Redrives { reply } => {
                self.redrives(reply);
                Ok(())
            }
            Op::Cancel { id, reply } => self.cancel(id, reply, group, now),
            Op::Move { id, to, reply } => self.move_one(id, to, reply, group, now),
            Op::DeclareCron { entries, reply } => self.declare_cron(&entries, reply, group, now),
            Op::Fire { firings, reply } => self.fire(firings, reply, group, now),
            Op::Standing { sequence, reply } => self.standing(sequence, reply, group),
            Op::ResumeGroups(resume) => self.resume_groups(resume, group, now),
            Op::HaltedGroups(request) => {
                self.halted_groups(request);
                Ok(())
            }
            Op::NoteAges { queue } => self.note_ages(queue, group),
            Op::Quarantine { sequence } => self.quarantine(sequence, group),
            Op::Request {
                outgoing,
                staged,
                reply,
            } => {
                self.large.stage(staged);
                let sent = self.request(*outgoing, reply, group, now);
                self.large.unstage();
                sent
            }
            Op::AskReply {
                correlation_id,
                reply,
            } => {
                self.ask_reply(correlation_id, reply);
                Ok(())
            }
            Op::LeaveReply { correlation_id } => {
                self.leave_reply(&correlation_id);
                Ok(())
            }
            Op::TakeReply { sequence } => self.take_reply(sequence, group, now),
            Op::Notify(notice) => self.notify(*notice, group, now),
            Op::Topics { reply } => {
                let views = self.topic_views();
                self.answer(reply, views);
                Ok(())
            }
            Op::Declare {
                queues,
                topics,
                reply,
            } => self.declare(&queues, topics, reply, group),
            Op::Make(make) => self.make(*make, group),
            Op::Unmake { name, reply } => self.unmake(name, reply, group, now),
            Op::Clear { queue } => self.clear(queue, group, now),
            Op::SetPaused {
                queue,
                paused,
                reply,
            } => self.set_paused(queue, paused, reply, group),
            Op::Attach { queue, slots, sink } => {
                self.attach(&queue, &slots, sink);
                Ok(())
            }
            Op::Detach { queue, reply } => {
                self.detach(&queue);
                self.answer(reply, ());
                Ok(())
            }
            Op::View { queue, reply } => {
                let queue = self.board.find(queue.as_str());
                let view = queue.map(|queue| self.board.view(queue, now));
                self.answer(reply, view);
                Ok(())
            }
            Op::Views { reply } => {
                let views = self
                    .board
                    .ids()
                    .filter(|&queue| !self.is_deleted(queue))
                    .map(|queue| self.board.view(queue, now))
                    .collect();
                self.answer(reply, views);
                Ok(())
            }
            Op::Waiting {
                queue,
                limit,
                reply,
            } => {
                self.waiting(queue, limit, reply);
                Ok(())
            }
            Op::Tick { reply } => {
                self.answer(reply, ());
                Ok(())
            }
            Op::Close { .. } => unreachable!("closing is handled by run_group"),
        }
    }

    fn housekeeping(&mut self, group: &mut Group<'_>, now: Timestamp) -> Result<(), Fatal> {
        if now < self.next_housekeeping {
            return Ok(());
        }
        // What is more than one group should bear is left for the next.
        let more = group.forget_dedup(now)?;
        self.go_on_clearing();
        self.next_housekeeping = if more { now } else { now.after(HOUSEKEEPING) };
        Ok(())
    }
}
