//! Whether the answers of the store are those of the reference.

use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{Fence, MessageId, Outcome, Reason, Timestamp};
use gristmill_store::{AdminError, DeadFilter, PurgeStates, SendError};

use std::fmt::Debug;
use std::time::Duration;

use super::accept::Refusal;
use super::change::Unchanged;
use super::parcel::Parcel;
use super::reference::{Ended, Message, Reference};
use super::rig::name;
use super::script::End;
use super::state::Work;
use super::world::{Asked, World};

/// The end of an attempt as the store is told it, and as the reference is.
pub fn outcome(end: &End, error: String) -> (Outcome, Ended) {
    match *end {
        End::Done => (Outcome::Done, Ended::Done),
        End::Failed { delay_ms, asked } => {
            let reason = if asked { Reason::Retry } else { Reason::Trap };
            let outcome = Outcome::Failed {
                reason,
                error: error.clone(),
                delay: delay_ms.map(Duration::from_millis),
            };
            let delay = delay_ms;
            (
                outcome,
                Ended::Failed {
                    reason,
                    error,
                    delay,
                },
            )
        }
        End::Rejected => {
            let outcome = Outcome::Rejected {
                error: error.clone(),
            };
            (outcome, Ended::Rejected(error))
        }
        End::Postponed { delay_ms } => {
            let delay = Duration::from_millis(delay_ms);
            (Outcome::Postponed { delay }, Ended::Postponed(delay_ms))
        }
        End::HandedBack(why) => {
            let (wait, shows) = match why {
                HandedBack::Shutdown | HandedBack::Reload | HandedBack::Released => (0, false),
                HandedBack::NoInstance => (20, false),
                HandedBack::Conflict | HandedBack::ReusedInstance | HandedBack::BatchFailed => {
                    (0, true)
                }
                HandedBack::DestinationFull => (1000, true),
            };
            let back = Ended::Back {
                wait,
                conflict: why == HandedBack::Conflict,
                shows,
                reused: matches!(why, HandedBack::ReusedInstance | HandedBack::BatchFailed),
            };
            (Outcome::HandedBack(why), back)
        }
    }
}

impl World {
    pub fn judge(&mut self, asked: Asked) {
        match asked {
            Asked::Nothing => self.rig.tick(),
            Asked::Send(batch, answer) => {
                let answer = self.rig.wait(answer);
                self.judge_send(&batch, answer, true);
            }
            Asked::End(fence, work, ended) => {
                self.rig.tick();
                self.judge_end(fence, &work, ended);
            }
            Asked::EndBatch(work, ended) => {
                self.rig.tick();
                self.judge_end_batch(&work, ended);
            }
            Asked::Pause(queue, paused, answer) => {
                self.rig.wait(answer).unwrap();
                self.queue(&queue).paused = paused;
            }
            Asked::Purge(queue, states, filter, answer) => {
                let count = self.rig.wait(answer).unwrap();
                assert_eq!(count, self.purge(&queue, states, &filter), "purged");
            }
            Asked::Redrive(queue, filter, answer) => {
                let count = self.rig.wait(answer).unwrap();
                let meant = self.meant(&queue, &filter);
                for sequence in &meant {
                    self.reference.revive(*sequence, &queue);
                }
                assert_eq!(count, meant.len() as u64, "redriven");
            }
            Asked::Redriving(asked) => self.judge_redriving(asked),
            Asked::Receive(asked) => self.judge_receive(asked),
            Asked::Pulled(asked) => self.judge_pulled(asked),
            Asked::Reply(asked) => self.judge_reply(asked),
            Asked::Fire(asking, answer) => {
                let answer = self.rig.wait(answer).unwrap();
                self.judge_fire(&asking, answer);
            }
            Asked::Cancel(id, answer) => {
                let answer = self.rig.wait(answer);
                self.judge_change(id, answer, Reference::cancel);
            }
            Asked::Move(id, delay, answer) => {
                let answer = self.rig.wait(answer).map(Timestamp::unix_ms);
                self.judge_change(id, answer, |reference, id| reference.move_by(id, delay));
            }
            Asked::ResumeGroups(queue, group, answer) => {
                let count = self.rig.wait(answer).unwrap();
                assert_eq!(
                    count,
                    self.reference.resume(&queue, group.as_deref()),
                    "resumed"
                );
            }
        }
    }

    /// What was asked about one message is done, or refused for the same reason.
    fn judge_change<T: PartialEq + Debug>(
        &mut self,
        id: MessageId,
        answer: Result<T, AdminError>,
        change: impl FnOnce(&mut Reference, MessageId) -> Result<T, Unchanged>,
    ) {
        let answer = answer.map_err(|error| match error {
            AdminError::InFlight(_) => Unchanged::InFlight,
            AdminError::IsDead(_) => Unchanged::Dead,
            AdminError::UnknownMessage(_) => Unchanged::Unknown,
            AdminError::ExpiresFirst(_) => Unchanged::ExpiresFirst,
            other => panic!("{other}"),
        });
        assert_eq!(answer, change(&mut self.reference, id), "change of {id}");
    }

    fn judge_end(&mut self, fence: Fence, work: &Work, mut ended: Ended) {
        let Some(n) = self.flights.iter().position(|flight| flight.fence == fence) else {
            // Ended before, in the same group: this end does nothing.
            return;
        };
        self.flights.remove(n);
        self.spent.push(fence);
        if matches!(ended, Ended::Done)
            && let Err(instead) = self.commit(work)
        {
            ended = instead;
        }
        self.reference.end(fence.sequence, &ended);
        self.reference.note_turns();
    }

    /// What a handler has sent and stored appears with its ack, or the attempt ends otherwise.
    pub fn commit(&mut self, work: &Work) -> Result<(), Ended> {
        let back = |wait, conflict| Ended::Back {
            wait,
            conflict,
            shows: true,
            reused: false,
        };
        if !self.reference.state.agrees(work) {
            return Err(back(0, true));
        }
        let batch: Vec<&Parcel> = work.sends.iter().map(|held| &held.parcel).collect();
        let (copies, fates, refusals) = self.reference.fates(&batch);
        // What is sent was checked when it was sent.
        let mut first = refusals.into_iter().filter(|one| *one != Refusal::Invalid);
        if let Some(refusal) = first.next() {
            return Err(match refusal {
                Refusal::Full => {
                    self.reference.tally.note("acks that wait for room");
                    back(1000, false)
                }
                _ => self.not_sent(&batch),
            });
        }
        let ids = copies.iter().enumerate().map(|(n, copy)| {
            let is_first = n == 0 || copies[n - 1].at != copy.at;
            is_first.then_some(work.sends[copy.at].id)
        });
        let ids: Vec<_> = ids.collect();
        self.reference.take(&batch, &copies, &fates, &ids);
        self.reference.state.apply(work);
        Ok(())
    }

    /// The first that goes nowhere makes the attempt fail.
    fn not_sent(&mut self, batch: &[&Parcel]) -> Ended {
        let refused = |parcel: &&&Parcel| match self.reference.copies(0, parcel) {
            Ok(_) | Err(Refusal::Invalid) => None,
            Err(refusal) => Some((parcel.to.clone(), refusal)),
        };
        let error = match batch.iter().find_map(|parcel| refused(&parcel)).unwrap() {
            (topic, Refusal::Unmatched) => {
                self.reference.refuse(&topic);
                SendError::Unmatched(name(&topic)).to_string()
            }
            (to, _) => {
                format!("queue {to} is no longer declared: declare it again, or change the handler")
            }
        };
        Ended::Failed {
            reason: Reason::Retry,
            error,
            delay: None,
        }
    }

    fn purge(&mut self, queue: &str, states: PurgeStates, filter: &DeadFilter) -> u64 {
        let now = self.reference.now;
        let waits = |m: &&Message| {
            let named = if m.due > now {
                states.scheduled
            } else {
                states.ready
            };
            named && !m.in_flight
        };
        let waiting = self.reference.of_queue(queue).filter(waits);
        let waiting: Vec<u64> = waiting.map(|m| m.id.sequence()).collect();
        let dead = if states.dead {
            self.meant(queue, filter)
        } else {
            Vec::new()
        };
        self.reference
            .messages
            .retain(|sequence, _| !waiting.contains(sequence));
        self.reference
            .dead
            .retain(|sequence, _| !dead.contains(sequence));
        self.reference.note_turns();
        (waiting.len() + dead.len()) as u64
    }

    fn meant(&self, queue: &str, filter: &DeadFilter) -> Vec<u64> {
        let fingerprint = |sequence: &u64| self.fingerprints.get(sequence).copied();
        let dead = self.reference.dead.iter().filter(|(sequence, dead)| {
            dead.message.queue == queue
                && (filter.ids.is_empty() || filter.ids.contains(&dead.message.id))
                && filter.reason.is_none_or(|reason| reason == dead.reason)
                && (filter.fingerprint.is_none() || filter.fingerprint == fingerprint(sequence))
        });
        dead.map(|(sequence, _)| *sequence).collect()
    }
}
