//! What a handler does before it ends: what it is told is what the reference tells.

use gristmill_queue::effects::{SendError as HandlerSendError, StateError};

use super::accept::is_valid;
use super::parcel::Held;
use super::policy::MAX_BODY;
use super::reference::KEYS;
use super::script::{Act, NOWHERE};
use super::world::World;

impl World {
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
                    let parcel = prepared.unwrap();
                    let sent = transaction.send(&parcel.to, parcel.message());
                    if parcel.to == NOWHERE {
                        assert_eq!(sent, Err(HandlerSendError::NotPermitted));
                    } else if parcel.body.len() as u64 > MAX_BODY || !is_valid(&parcel.sending) {
                        sent.unwrap_err();
                    } else {
                        let id = sent.unwrap();
                        work.sends.push(Held { id, parcel });
                    }
                }
                Act::Reply(size) => {
                    self.act_reply(n, size);
                }
            }
        }
    }
}
