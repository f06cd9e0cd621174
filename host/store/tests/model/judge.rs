//! Whether the answers of the store are those of the reference.

use gristmill_queue::effects::{SendError as HandlerSendError, StateError};
use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{Fence, MessageId, Outcome, Reason, Timestamp};
use gristmill_store::{Accepted, AdminError, DeadFilter, PurgeStates, SendError};

use std::fmt::Debug;
use std::time::Duration;

use super::change::Unchanged;
use super::policy::MAX_BODY;
use super::reference::{Ended, KEYS, Message, Reference};
use super::script::{Act, End, Sending};
use super::sending::{key_of, new_message};
use super::state::{Fate, First, Held, Refusal, Work, is_valid};
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
                HandedBack::Shutdown | HandedBack::Reload => (0, false),
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
                self.judge_send(&batch, answer);
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
                self.reference.redrive(&meant);
                assert_eq!(count, meant.len() as u64, "redriven");
            }
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

    pub fn judge_send(
        &mut self,
        batch: &[(String, Sending, Vec<u8>)],
        answer: Result<Vec<Accepted>, SendError>,
    ) {
        let plain: Vec<_> = batch
            .iter()
            .map(|(to, sending, body)| (to.clone(), sending, body.as_slice()))
            .collect();
        let (fates, refusals) = self.reference.fates(&plain);
        let accepted = match answer {
            Ok(accepted) => accepted,
            Err(error) => {
                let kind = match error.cause() {
                    SendError::UnknownQueue(_) => Refusal::Unknown,
                    SendError::Invalid { .. } => Refusal::Invalid,
                    SendError::Full(_) => Refusal::Full,
                    other => panic!("{other}"),
                };
                assert!(
                    refusals.contains(&kind),
                    "{error}, but expected {refusals:?}"
                );
                return;
            }
        };
        assert_eq!(refusals, [], "accepted all the same");
        assert_eq!(accepted.len(), batch.len());
        self.reference.make_room(&plain, &fates);
        for (n, (to, sending, body)) in batch.iter().enumerate() {
            let (original, first_body) = match &fates[n] {
                Fate::New => (None, body),
                Fate::Repeats(id, first) => (Some(*id), first),
                Fate::RepeatsNth(first) => (Some(accepted[*first].id), &batch[*first].2),
            };
            let Some(original) = original else {
                assert!(!accepted[n].duplicate && !accepted[n].conflict);
                self.take_in(accepted[n].id, to, sending, body);
                continue;
            };
            let expected = Accepted {
                id: original,
                duplicate: true,
                conflict: first_body != body,
            };
            assert_eq!(accepted[n], expected);
        }
    }

    /// A message has been accepted.
    fn take_in(&mut self, id: MessageId, to: &str, sending: &Sending, body: &[u8]) {
        assert!(self.reference.ids.insert(id), "{id} is given twice");
        let now = self.reference.now;
        let policy = &self.reference.queues[to].policy;
        let due = now + sending.delay_ms;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        // A queue's own time-to-live counts from when the message is due.
        let lives = sending
            .ttl_ms
            .or(policy.default_ttl.map(|ttl| sending.delay_ms + ms(ttl)));
        if let Some(key) = sending.dedup {
            let first = First {
                id,
                body: body.to_vec(),
                until: now + ms(policy.dedup_window),
            };
            let key = (to.to_owned(), key.to_string());
            self.reference.firsts.insert(key, first);
        }
        self.reference.orders += 1;
        let message = Message {
            id,
            queue: to.to_owned(),
            body: body.to_vec(),
            group: sending.group.map(|group| format!("g{group}")),
            tenant: key_of(sending),
            key: policy.key.as_ref().and_then(|_| key_of(sending)),
            shares: false,
            priority: sending.priority,
            due,
            since: now,
            lives,
            expires: lives.map(|lives| now + lives),
            order: self.reference.orders,
            counts: super::reference::Counts::default(),
            suspect: false,
            conflicts: 0,
            wants_fresh: false,
            history: Vec::new(),
            in_flight: false,
            tick: None,
        };
        self.reference.messages.insert(id.sequence(), message);
        self.reference.note_turns();
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
        let sends = work.sends.iter();
        let batch: Vec<_> = sends
            .map(|held| (held.to.clone(), &held.sending, held.body.as_slice()))
            .collect();
        let declared = |held: &&Held| self.reference.queues[&held.to].declared;
        if let Some(held) = work.sends.iter().find(|held| !declared(held)) {
            return Err(Ended::Failed {
                reason: Reason::Retry,
                error: format!(
                    "queue {} is no longer declared: declare it again, or change the handler",
                    held.to
                ),
                delay: None,
            });
        }
        let (fates, refusals) = self.reference.fates(&batch);
        if refusals.contains(&Refusal::Full) {
            return Err(back(1000, false));
        }
        self.reference.make_room(&batch, &fates);
        for (held, fate) in work.sends.iter().zip(fates) {
            if fate == Fate::New {
                self.take_in(held.id, &held.to, &held.sending, &held.body);
            }
        }
        self.reference.state.apply(work);
        Ok(())
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

    /// A handler reads, writes and sends; what it is told is what the reference tells.
    pub fn act(&mut self, n: usize, acts: &[Act]) {
        if self.flights.is_empty() {
            return;
        }
        let n = n % self.flights.len();
        for act in acts {
            let prepared = match act {
                Act::Send(sending) => Some(self.prepare(sending)),
                _ => None,
            };
            let flight = &mut self.flights[n];
            let transaction = flight
                .transaction
                .get_or_insert_with(|| self.rig.transaction());
            let (state, work) = (&self.reference.state, &mut flight.work);
            match *act {
                Act::Get(key) => {
                    let value = transaction
                        .get(KEYS[key])
                        .unwrap()
                        .map(|value| value.to_vec());
                    assert_eq!(value, state.get(KEYS[key], work));
                }
                Act::Set(key, value) => {
                    transaction.set(KEYS[key], vec![value].into()).unwrap();
                    state.set(KEYS[key], vec![value], work);
                }
                Act::Add(key, delta) => {
                    let added = transaction.add(KEYS[key], delta.into());
                    let is_counter = state.add(KEYS[key], delta.into(), work);
                    let expected = if is_counter {
                        Ok(())
                    } else {
                        Err(StateError::NotACounter)
                    };
                    assert_eq!(added, expected);
                }
                Act::Remove(key) => {
                    transaction.remove(KEYS[key]).unwrap();
                    state.remove(KEYS[key], work);
                }
                Act::List(key) => {
                    let keys = transaction.list(KEYS[key], None, 100).unwrap();
                    assert_eq!(keys, state.list(KEYS[key], work));
                }
                Act::Send(_) => {
                    let (to, sending, body) = prepared.unwrap();
                    let sent = transaction.send(&to, new_message(&sending, &body));
                    if !self.reference.queues.contains_key(&to) {
                        assert_eq!(sent, Err(HandlerSendError::NotPermitted));
                    } else if body.len() as u64 > MAX_BODY || !is_valid(&sending) {
                        sent.unwrap_err();
                    } else {
                        let id = sent.unwrap();
                        work.sends.push(Held {
                            to,
                            id,
                            sending,
                            body,
                        });
                    }
                }
            }
        }
    }
}
