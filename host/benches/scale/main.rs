//! Whether a message through the whole path costs more when there is more: queues, messages that
//! wait, handler modules, deliveries that are suspended; and how long a host starts on much.
//!
//!     cargo bench -p gristmill --bench scale [queues | beside | within | modules | suspended | start | start-modules] [--full] [--once]
//!
//! Every case runs in a process of its own. `start` and `start-modules` start the program itself, the
//! others are store, dispatch and sandbox in one process. Each case is run three times, the sizes in
//! turn, and the table has the medians; with `--once` it is run once. `--full` goes up to ten million
//! messages, which take about 5 GB of disk and are filled once for each case. The handlers have to be
//! built before: `cargo build --target wasm32-wasip2 --profile handler --target-dir target/guests -p
//! bench -p sink -p misbehave`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark stops at what it does not expect"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people to read")]

#[path = "../../store/benches/scale/compare.rs"]
mod compare;
mod modules;
mod program;
mod queues;
mod resident;
mod rig;
mod start;
mod suspended;
mod waiting;

use compare::Family;

const WAITING: fn(bool) -> &'static [u64] = |full| match full {
    true => &[10, 100_000, 10_000_000],
    false => &[10, 100_000, 1_000_000],
};

const FAMILIES: [Family; 7] = [
    Family {
        name: "queues",
        what: "the same messages, spread over this many queues of one handler",
        sizes: |_| &[1, 100, 1_000, 10_000],
        repeated_up_to: 10_000,
        run: queues::run,
    },
    Family {
        name: "beside",
        what: "messages while this many wait in a queue that is paused",
        sizes: WAITING,
        repeated_up_to: 1_000_000,
        run: waiting::beside,
    },
    Family {
        name: "within",
        what: "messages through a queue in which this many wait, handled off the head",
        sizes: WAITING,
        repeated_up_to: 1_000_000,
        run: waiting::within,
    },
    Family {
        name: "modules",
        what: "the same messages, spread over the queues of this many modules",
        sizes: |_| &[1, 10, 100, 500],
        repeated_up_to: 500,
        run: modules::run,
    },
    Family {
        name: "suspended",
        what: "this many deliveries in fresh instances, all waiting in a call of the host",
        sizes: |_| &[100, 1_000, 10_000],
        repeated_up_to: 10_000,
        run: suspended::run,
    },
    Family {
        name: "start",
        what: "the program on a store in which this many wait, after a host that was killed",
        sizes: WAITING,
        repeated_up_to: 1_000_000,
        run: start::on_messages,
    },
    Family {
        name: "start-modules",
        what: "the program with this many modules whose code is cached",
        sizes: |_| &[1, 10, 100, 500],
        repeated_up_to: 100,
        run: start::with_modules,
    },
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // What a case calls this program with, to have a store filled by a host that dies.
    if let [flag, folder, count] = args.as_slice()
        && flag == start::FILL
    {
        return start::fill_and_die(folder, count.parse().unwrap());
    }
    compare::main(&FAMILIES);
}
