//! What a store is told of its queues when it starts: which are declared, and how they are attached.

use gristmill_queue::QueuePolicy;

use super::reference::Reference;
use super::rig::{Declared, declarations};

impl Reference {
    /// The queues that are declared, with the gate, and the topics.
    pub fn declared(&self) -> Declared {
        let declared = self.queues.iter().filter(|(_, queue)| queue.declared);
        let declared: Vec<(&str, QueuePolicy)> = declared
            .map(|(name, queue)| (name.as_str(), queue.policy.clone()))
            .collect();
        (declarations(&declared), self.topic_declarations())
    }

    /// How the queues are attached: their slots, and whether they share them.
    pub fn attached(&self) -> Vec<(String, u32, bool)> {
        let queues = self.queues.iter();
        queues
            .map(|(name, queue)| (name.clone(), queue.slots, queue.shared))
            .collect()
    }
}
