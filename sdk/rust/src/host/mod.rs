//! The one seam between this crate and the host.
//!
//! Both sides have the same functions: in a component they are the imports of the WIT, in a native
//! build a fake delivery on the same thread. Nothing else in the crate asks which it is.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub use wasm::component;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::*;

use std::time::Duration;

/// Whole milliseconds, rounded up so that "at least so long" stays true.
#[cfg_attr(
    not(any(test, target_family = "wasm")),
    expect(dead_code, reason = "only the wire counts in milliseconds")
)]
fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_never_cut_short() {
        for (duration, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(5), 5),
            (Duration::from_micros(5_001), 6),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(whole_ms(duration), expected, "{duration:?}");
        }
    }
}
