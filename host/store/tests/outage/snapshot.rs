//! A world between two steps, to go on from in another place: after loss of power, or kill -9.

use std::collections::BTreeMap;

use gristmill_queue::Fence;

use super::super::model::reference::Reference;
use super::super::model::rig::{Declared, Rig};
use super::super::model::world::World;

/// What is known of a world beside its store.
#[derive(Clone)]
pub struct Snapshot {
    reference: Reference,
    serial: u64,
    pulls: Vec<(String, Fence)>,
    requests: Vec<String>,
    fingerprints: BTreeMap<u64, u64>,
}

impl Snapshot {
    /// What time it is in it.
    pub fn now(&self) -> u64 {
        self.reference.now
    }

    /// The queues that are declared in it, with the gate, and the topics.
    pub fn declared(&self) -> Declared {
        self.reference.declared()
    }
}

impl World {
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            reference: self.reference.clone(),
            serial: self.serial,
            pulls: self.pulls.clone(),
            requests: self.requests.clone(),
            fingerprints: self.fingerprints.clone(),
        }
    }

    /// How many wait for a reply.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// The host has started again, with a store that must be as it was then; `blamed` if it had died
    /// with what was in flight.
    pub fn awake(snapshot: &Snapshot, blamed: bool, rig: Rig) -> World {
        let mut world = World {
            rig,
            reference: snapshot.reference.clone(),
            flights: Vec::new(),
            spent: Vec::new(),
            pulls: snapshot.pulls.clone(),
            serial: snapshot.serial,
            requests: snapshot.requests.clone(),
            waiters: Vec::new(),
            handed: Vec::new(),
            fingerprints: snapshot.fingerprints.clone(),
        };
        world.reference.waiters.clear();
        let attached = world.reference.attached();
        world.reference.restart(blamed);
        world.observe();
        world.attach_all(&attached);
        world
    }
}
