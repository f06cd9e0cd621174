//! Numbers that look random and are the same for the same seed, so that a failure can be repeated.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A small generator (PCG's multiplier, upper bits).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that begins with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Rng(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The seed that the environment variable names, or one taken from the clock.
    #[must_use]
    pub fn seed(variable: &str) -> u64 {
        let named = std::env::var(variable).ok().and_then(|n| n.parse().ok());
        named.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(0, |now| u64::from(now.subsec_nanos()))
        })
    }

    /// A number below `sides`, which is not zero.
    pub fn below(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// A time between these two.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX);
        from + Duration::from_micros(self.below(span.max(1)))
    }
}
