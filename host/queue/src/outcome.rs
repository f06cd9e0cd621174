//! How an attempt ended, and what is kept about it.

use std::fmt;
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3Default;

use crate::Timestamp;

/// Why an attempt failed, or why a message died.
///
/// The codes ([`Reason::as_str`]) are stable: they stand in the store, the API and the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The handler asked for a retry.
    Retry,
    /// The handler rejected the message.
    Rejected,
    /// The handler trapped.
    Trap,
    /// The handler called `exit`.
    Exit,
    /// The handler's wall-clock timeout passed.
    Deadline,
    /// The handler used up its CPU time.
    CpuLimit,
    /// The handler was refused memory and gave up.
    MemoryLimit,
    /// The handler recursed too deeply.
    StackOverflow,
    /// The handler wrote too much, or more than it may send and store.
    OutputLimit,
    /// The component could not be instantiated.
    Instantiation,
    /// The host died while the message was being handled.
    HostCrash,
    /// The message expired.
    Expired,
    /// The message was postponed too often.
    PostponedTooOften,
    /// A pull consumer let its lease run out.
    LeaseExpired,
    /// A message before it in its group died, and the queue lets the rest die with it.
    GroupFailed,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 15] = [
        Reason::Retry,
        Reason::Rejected,
        Reason::Trap,
        Reason::Exit,
        Reason::Deadline,
        Reason::CpuLimit,
        Reason::MemoryLimit,
        Reason::StackOverflow,
        Reason::OutputLimit,
        Reason::Instantiation,
        Reason::HostCrash,
        Reason::Expired,
        Reason::PostponedTooOften,
        Reason::LeaseExpired,
        Reason::GroupFailed,
    ];

    /// The stable code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Retry => "retry",
            Reason::Rejected => "rejected",
            Reason::Trap => "trap",
            Reason::Exit => "exit",
            Reason::Deadline => "deadline",
            Reason::CpuLimit => "cpu-limit",
            Reason::MemoryLimit => "memory-limit",
            Reason::StackOverflow => "stack-overflow",
            Reason::OutputLimit => "output-limit",
            Reason::Instantiation => "instantiation",
            Reason::HostCrash => "host-crash",
            Reason::Expired => "expired",
            Reason::PostponedTooOften => "postponed-too-often",
            Reason::LeaseExpired => "lease-expired",
            Reason::GroupFailed => "group-failed",
        }
    }

    /// Whether the handler itself said so, rather than being cut off.
    #[must_use]
    pub fn is_verdict(self) -> bool {
        matches!(self, Reason::Retry | Reason::Rejected)
    }

    /// The reason with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a leased message is handed back: never the message's fault, never counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandedBack {
    /// The host is shutting down.
    Shutdown,
    /// The handler was replaced or removed.
    Reload,
    /// There was no free instance after all.
    NoInstance,
    /// What the handler read had been changed by another delivery. Run again at once.
    Conflict,
    /// A queue it sent to is full. Run again after a short wait.
    DestinationFull,
    /// A reused instance failed: run again in a fresh one, so that a neighbour's leftovers are not
    /// blamed on this message.
    ReusedInstance,
    /// It was handled in one batch with others, and that came to nothing. Run by itself next, so
    /// that the others are not charged for one of them.
    BatchFailed,
    /// A pull consumer gave it back unhandled, or was gone before it got it.
    Released,
}

impl HandedBack {
    /// How long the message waits before it is due again.
    #[must_use]
    pub fn wait(self) -> Duration {
        match self {
            HandedBack::DestinationFull => Duration::from_secs(1),
            HandedBack::NoInstance => Duration::from_millis(20),
            HandedBack::Shutdown
            | HandedBack::Reload
            | HandedBack::Conflict
            | HandedBack::ReusedInstance
            | HandedBack::BatchFailed
            | HandedBack::Released => Duration::ZERO,
        }
    }
}

/// How an attempt ended, as the dispatcher saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned ok.
    Done,
    /// The attempt failed and counts. A `delay` that the handler chose wins over the back-off.
    Failed {
        /// Why.
        reason: Reason,
        /// In words, from the handler or the host.
        error: String,
        /// The handler's own delay.
        delay: Option<Duration>,
    },
    /// The handler says that it will never work.
    Rejected {
        /// In words.
        error: String,
    },
    /// The handler says that it is not the message's turn.
    Postponed {
        /// How long to wait.
        delay: Duration,
    },
    /// Not the message's fault.
    HandedBack(HandedBack),
}

impl Outcome {
    /// Whether an attempt that ended so has shown that the message does not kill the host.
    ///
    /// One that was cut short from outside, or never began, has shown nothing.
    #[must_use]
    pub fn clears_suspect(&self) -> bool {
        match self {
            Outcome::Failed {
                reason: Reason::LeaseExpired,
                ..
            } => false,
            Outcome::Done
            | Outcome::Failed { .. }
            | Outcome::Rejected { .. }
            | Outcome::Postponed { .. } => true,
            Outcome::HandedBack(why) => match why {
                HandedBack::Conflict
                | HandedBack::DestinationFull
                | HandedBack::ReusedInstance
                | HandedBack::BatchFailed => true,
                HandedBack::Shutdown
                | HandedBack::Reload
                | HandedBack::NoInstance
                | HandedBack::Released => false,
            },
        }
    }
}

/// What a sandbox left behind when it failed; kept with dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// Wasm frames, innermost first, one on a line.
    pub backtrace: Vec<String>,
    /// The end of what the handler wrote to stderr and stdout and logged.
    pub output_tail: String,
    /// How many bytes of output were thrown away.
    pub output_dropped: u64,
}

/// What an attempt used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From entering the guest to leaving it.
    pub wall: Duration,
    /// CPU time of the guest, to the nearest tick.
    pub cpu: Duration,
    /// The most bytes of linear memory.
    pub peak_memory: u64,
}

/// One ended attempt, as it is kept with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// Why it failed.
    pub reason: Reason,
    /// In words, at most [`MAX_REASON`](crate::limits::MAX_REASON) bytes.
    pub error: String,
    /// What it used.
    pub usage: Usage,
    /// SHA-256 of the handler's module in hexadecimal, cut to 16 digits; empty if none ran.
    pub handler: String,
}

/// Groups failures that look alike: the reason, and the innermost frames or else the error.
///
/// Numbers in the error are ignored, so that "order 17 …" and "order 18 …" are one group.
#[must_use]
pub fn fingerprint(reason: Reason, error: &str, backtrace: &[String]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(reason.as_str().as_bytes());
    if backtrace.is_empty() {
        let mut last_was_digit = false;
        for byte in error.lines().next().unwrap_or_default().bytes() {
            let digit = byte.is_ascii_digit();
            if !(digit && last_was_digit) {
                hash.update(&[if digit { b'#' } else { byte }]);
            }
            last_was_digit = digit;
        }
    }
    for frame in backtrace
        .iter()
        .filter(|frame| !is_runtime_frame(frame))
        .take(3)
    {
        hash.update(&[0]);
        hash.update(frame_function(frame).as_bytes());
    }
    hash.digest()
}

/// Frames of a language's own machinery, which say nothing about the failure.
#[must_use]
pub fn is_runtime_frame(frame: &str) -> bool {
    let function = frame_function(frame);
    let function = function.split_once('!').map_or(function, |(_, name)| name);
    [
        "std::", "core::", "alloc::", "__rust", "rust_", "abort", "_abort", "wasi:", "__wasi",
        "<std::", "<core::", "<alloc::",
    ]
    .iter()
    .any(|prefix| function.starts_with(prefix))
}

/// The frame without its code offset and the compiler's hash, which change with every build.
fn frame_function(frame: &str) -> &str {
    let function = frame
        .rsplit_once(" - ")
        .map_or(frame, |(_, name)| name)
        .trim();
    match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name
        }
        _ => function,
    }
}

/// Cuts a text to at most `limit` bytes, at a character, and says so.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    const MARK: &str = " […]";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.as_str()), Some(reason));
        }
    }

    #[test]
    fn a_fingerprint_ignores_numbers_offsets_and_builds() {
        let frames = |offset: &str, hash: &str| {
            vec![
                "0xa4f6 - bad.wasm!core::panicking::panic_fmt".to_owned(),
                format!("{offset} - bad.wasm!bad::process_order::h{hash}"),
            ]
        };
        let one = fingerprint(
            Reason::Trap,
            "unreachable",
            &frames("0x4b05", "d77b2a14af402587"),
        );
        assert_eq!(
            one,
            fingerprint(
                Reason::Trap,
                "unreachable",
                &frames("0x5000", "0000000000000001")
            )
        );
        assert_ne!(
            one,
            fingerprint(
                Reason::Deadline,
                "unreachable",
                &frames("0x4b05", "d77b2a14af402587")
            )
        );
        assert_eq!(
            fingerprint(Reason::Retry, "order 17 is late", &[]),
            fingerprint(Reason::Retry, "order 9 is late", &[])
        );
        assert_ne!(
            fingerprint(Reason::Retry, "order 17 is late", &[]),
            fingerprint(Reason::Retry, "order 17 is lost", &[])
        );
    }

    #[test]
    fn the_languages_own_frames_are_told_from_the_handlers() {
        for own in [
            "0x1 - a.wasm!std::sys::backtrace::__rust_end_short_backtrace::<f::{closure#0}, !>",
            "0x1 - a.wasm!core::panicking::panic_fmt",
            "0x1 - a.wasm!abort",
        ] {
            assert!(is_runtime_frame(own), "{own}");
        }
        assert!(!is_runtime_frame("0x1 - std.wasm!orders::total::<!>"));
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        assert_eq!(cut("short", 10), "short");
        let long = cut(&"ä".repeat(50), 20);
        assert!(long.len() <= 20 && long.ends_with("[…]"), "{long}");
    }
}
