//! What is done to the clocks of the machine.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gristmill_queue::Timestamp;
use gristmill_store::Drift;

use super::Host;

impl Host {
    /// Turns the wall clock back, as someone may do at any time.
    pub fn turn_back(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.clocks.wall.fetch_sub(ms, Ordering::SeqCst);
    }

    /// Turns the wall clock forward.
    pub fn turn_forward(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.clocks.wall.fetch_add(ms, Ordering::SeqCst);
    }

    /// The machine is started anew: what counts from its start counts from nothing. Restart the
    /// host as well.
    pub fn restart_machine(&self) {
        self.clocks.uptime.store(0, Ordering::SeqCst);
    }

    /// What the wall clock shows.
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.clocks.wall.load(Ordering::SeqCst))
    }

    /// How far the time of the queues is from it.
    pub fn drift(&self) -> Drift {
        self.store.drift()
    }
}
