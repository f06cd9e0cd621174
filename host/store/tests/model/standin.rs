//! Ids that nobody was told: of the copies that a handler's message makes, and of the notices of
//! deaths. The reference gives them stand-ins, and learns the true ones when it sees the messages.

use std::collections::BTreeMap;

use gristmill_queue::MessageId;
use gristmill_store::{DeadFilter, Leased};

use super::parcel::SERIAL;
use super::reference::Reference;
use super::rig::name;
use super::script::ALL;
use super::world::World;

/// Above all numbers that a store has given.
const FIRST: u64 = 1 << 61;

fn is_stand_in(id: MessageId) -> bool {
    id.sequence() >= FIRST
}

/// Whether they are the same, as far as that can be known: a message may be gone before anybody
/// has seen it.
pub fn same(found: MessageId, expected: MessageId) -> bool {
    is_stand_in(expected) || found == expected
}

impl Reference {
    pub fn stand_in(&mut self) -> MessageId {
        self.stand_ins += 1;
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&((0b10 << 62) | FIRST | self.stand_ins).to_be_bytes());
        MessageId::from_bytes(bytes)
    }

    /// An id is told for the first time.
    pub fn meet(&mut self, id: MessageId) {
        if !is_stand_in(id) {
            assert!(self.ids.insert(id), "{id} is given twice");
        }
    }

    /// If this is a stand-in, it was for that.
    pub fn learn(&mut self, stand_in: MessageId, id: MessageId) -> MessageId {
        if !is_stand_in(stand_in) {
            return stand_in;
        }
        self.meet(id);
        let (before, after) = (stand_in.sequence(), id.sequence());
        if let Some(mut message) = self.messages.remove(&before) {
            message.id = id;
            self.messages.insert(after, message);
        }
        if let Some(mut dead) = self.dead.remove(&before) {
            dead.message.id = id;
            self.dead.insert(after, dead);
        }
        let firsts = self.firsts.values_mut().map(|first| &mut first.id);
        let halted = self.halted.values_mut().map(|(_, died, _)| died);
        for other in firsts.chain(halted) {
            if *other == stand_in {
                *other = id;
            }
        }
        id
    }
}

/// By what the messages of a script are told apart, copies excepted.
pub fn label(message: &gristmill_queue::Message) -> String {
    let envelope = &message.envelope;
    let serial = envelope.attribute(SERIAL).map(str::to_owned);
    serial.unwrap_or_else(|| format!("{:?}", envelope.causation_id))
}

impl World {
    /// Finds the messages that have stand-ins. Of those with one label ids go up in the order in
    /// which they were accepted.
    pub fn learn_ids(&mut self, delivered: &[Leased]) {
        let reference = &self.reference;
        let unknown = reference.messages.range(FIRST..).map(|(_, m)| m);
        let dead = reference.dead.range(FIRST..).map(|(_, dead)| &dead.message);
        let mut unknown_by: BTreeMap<String, Vec<MessageId>> = BTreeMap::new();
        for message in unknown.chain(dead) {
            let of_label = unknown_by.entry(message.label.clone()).or_default();
            of_label.push(message.id);
        }
        if unknown_by.is_empty() {
            return;
        }
        let mut found_by: BTreeMap<String, Vec<gristmill_queue::Message>> = BTreeMap::new();
        let mut note = |message: &gristmill_queue::Message| {
            if !reference.ids.contains(&message.id) {
                let of_label = found_by.entry(label(message)).or_default();
                of_label.push(message.clone());
            }
        };
        delivered.iter().for_each(|leased| note(&leased.message));
        self.handed.iter().for_each(|(_, reply)| note(reply));
        let store = &self.rig.store;
        for queue in ALL.map(name) {
            let peeked = self.rig.wait(store.peek(queue.clone(), 10_000)).unwrap();
            peeked.iter().for_each(|peeked| note(&peeked.message));
            let dead = store.dead(&queue, &DeadFilter::default(), 0, 10_000);
            for summary in dead.unwrap() {
                let letter = store.dead_letter(&queue, summary.sequence).unwrap();
                note(&letter.unwrap().message);
            }
        }
        for (label, mut stand_ins) in unknown_by {
            let mut found = found_by.remove(&label).unwrap_or_default();
            stand_ins.sort_unstable();
            found.sort_unstable_by_key(|message| message.id.sequence());
            assert_eq!(found.len(), stand_ins.len(), "messages with label {label}");
            if !found.is_empty() && found[0].envelope.causation_id.is_none() {
                let count = found.len() as u64;
                self.reference.tally.add("copies by handlers", count);
            }
            for (stand_in, found) in stand_ins.into_iter().zip(found) {
                self.reference.learn(stand_in, found.id);
                self.learn_notice(found.id, &found);
            }
        }
    }
}
