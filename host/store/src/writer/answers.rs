//! Telling those who asked, once what they asked for is durable.

use super::Writer;
use crate::ops::Reply;

/// Runs something soon, on another thread than the one that calls it.
pub type Elsewhere = Box<dyn Fn(Box<dyn FnOnce() + Send>) + Send>;

impl Writer {
    /// Answers once the group is durable. The asker may be gone; that changes nothing.
    pub(super) fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, value: T) {
        self.answers.push(Box::new(move || {
            let _ = reply.send(value);
        }));
    }

    /// Gives the answers of a group that is durable. Each wakes a task on threads of others, which takes
    /// longer from here than from there; so several are passed on together. One by itself is given
    /// here, as the way over another task would only add to it.
    pub(super) fn give_answers(&mut self) {
        if self.answers.len() < 2 {
            return self.answers.drain(..).for_each(|answer| answer());
        }
        let answers = std::mem::take(&mut self.answers);
        let give = move || answers.into_iter().for_each(|answer| answer());
        match &self.answer_elsewhere {
            Some(elsewhere) => elsewhere(Box::new(give)),
            None => give(),
        }
    }
}
