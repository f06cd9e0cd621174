//! What a new start of the host does: nothing is in flight any more but with pull consumers, and somebody
//! may be to blame.

use gristmill_queue::{QueuePolicy, Reason};

use super::flow::Flow;
use super::reference::{Reference, ms};

impl Reference {
    /// The host starts again; `blamed` if it had died with what was in flight.
    pub fn restart(&mut self, blamed: bool) {
        for queue in self.queues.values_mut() {
            (queue.slots, queue.shared) = (0, false);
            (queue.skipped, queue.dropped) = (0, 0);
            if !queue.declared {
                queue.policy = QueuePolicy::default();
            }
            queue.flow = Flow::new(&queue.policy);
        }
        self.restart_topics();
        self.restart_redrives();
        self.alone = None;
        for sequence in self.messages.keys().copied().collect::<Vec<_>>() {
            let message = self.messages.get_mut(&sequence).expect("listed");
            (message.conflicts, message.wants_fresh, message.shares) = (0, false, false);
            if message.pulled.is_some() {
                self.tally.note("leases over a restart");
            } else if std::mem::take(&mut message.in_flight) && blamed {
                self.blame(sequence);
            }
        }
        self.note_turns();
    }

    fn blame(&mut self, sequence: u64) {
        let message = self.messages.get_mut(&sequence).expect("it is here");
        message.counts.attempts += 1;
        message.counts.crashes += 1;
        message.history.push((Reason::HostCrash, String::new()));
        let retry = &self.queues[&message.queue].policy.retry;
        let too_old = retry
            .max_age
            .is_some_and(|most| self.now.saturating_sub(message.since) > ms(most));
        let alone = std::mem::replace(&mut message.suspect, true);
        if alone
            && (message.counts.crashes > 3
                || message.counts.attempts >= retry.max_attempts
                || too_old)
        {
            self.die(sequence, Reason::HostCrash);
        } else if alone && message.expires.is_some_and(|expires| expires <= self.now) {
            self.expire(sequence);
        }
    }
}
