//! What becomes of one message that is cancelled or moved by its id: written from the contract.

use gristmill_queue::MessageId;

use super::reference::{Message, Reference};

/// Why a message stays as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unchanged {
    InFlight,
    Dead,
    Unknown,
    ExpiresFirst,
}

impl Reference {
    fn waiting(&mut self, id: MessageId) -> Result<&mut Message, Unchanged> {
        let sequence = id.sequence();
        match self.messages.get_mut(&sequence) {
            Some(message) if message.in_flight => Err(Unchanged::InFlight),
            Some(message) => Ok(message),
            None if self.dead.contains_key(&sequence) => Err(Unchanged::Dead),
            None => Err(Unchanged::Unknown),
        }
    }

    pub fn cancel(&mut self, id: MessageId) -> Result<(), Unchanged> {
        self.waiting(id)?;
        self.messages.remove(&id.sequence());
        self.note_turns();
        Ok(())
    }

    /// Says when it is due. What is due already keeps its place when it is moved to now.
    pub fn move_by(&mut self, id: MessageId, delay: u64) -> Result<u64, Unchanged> {
        let now = self.now;
        let message = self.waiting(id)?;
        let due = now + delay;
        if message.expires.is_some_and(|expires| due >= expires) {
            return Err(Unchanged::ExpiresFirst);
        }
        if delay > 0 || message.due > now {
            message.due = due;
        }
        let due = message.due;
        self.note_turns();
        Ok(due)
    }
}
