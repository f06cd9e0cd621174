//! Whether what a message costs depends on how much there is: of groups, of dedup ids within their
//! window, of messages scheduled for later, of messages that wait.
//!
//!     cargo bench -p gristmill-store --bench scale [groups | dedup | schedule | backlog] [--full]
//!
//! Every case runs in a process of its own, so that its memory is its own, and says what it measured
//! in lines of figure and name; this process runs each three times, the sizes in turn, and prints the
//! medians, with the ratio of the last column to the first that has the line. `--full` fills a backlog
//! of ten million messages too, once.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark stops at what it does not expect"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people to read")]

mod backlog;
mod compare;
mod dedup;
mod groups;
mod rig;
mod schedule;

use compare::Family;

/// A larger size is run once.
const LARGEST_REPEATED: u64 = 1_000_000;

const FAMILIES: [Family; 4] = [
    Family {
        name: "groups",
        what: "messages of this many groups",
        sizes: |_| &[1, 1_000, 1_000_000],
        repeated_up_to: LARGEST_REPEATED,
        run: groups::run,
    },
    Family {
        name: "dedup",
        what: "messages with dedup ids, with this many in the window",
        sizes: |_| &[0, 1_000, 1_000_000],
        repeated_up_to: LARGEST_REPEATED,
        run: dedup::run,
    },
    Family {
        name: "schedule",
        what: "messages beside this many that are scheduled for later",
        sizes: |_| &[0, 1_000, 1_000_000],
        repeated_up_to: LARGEST_REPEATED,
        run: schedule::run,
    },
    Family {
        name: "backlog",
        what: "a queue of this many messages, filled, then drained",
        sizes: |full| match full {
            true => &[10_000, 100_000, 1_000_000, 10_000_000],
            false => &[10_000, 100_000, 1_000_000],
        },
        repeated_up_to: LARGEST_REPEATED,
        run: backlog::run,
    },
];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    compare::main(&FAMILIES);
}
