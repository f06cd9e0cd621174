//! Every default and every bound of the configuration, by name.
//!
//! Nothing else in this room writes a number down. What the core promises (`gristmill_queue`) is
//! repeated here so that the whole list can be read in one place; a test holds the two together.

use std::time::Duration;

use bytesize::ByteSize;
use gristmill_queue::policy::{OnExpiry, OnFull, PullPolicy};
use gristmill_queue::{QueuePolicy, limits};

/// The least and the most that a value may be, both included.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<T> {
    /// The least.
    pub min: T,
    /// The most.
    pub max: T,
}

/// A value that is used unless the file says otherwise, and what the file may say.
#[derive(Clone, Copy, Debug)]
pub struct Setting<T> {
    /// Used unless the file says otherwise.
    pub default: T,
    /// What the file may say.
    pub bounds: Bounds<T>,
}

const fn setting<T: Copy>(default: T, min: T, max: T) -> Setting<T> {
    Setting {
        default,
        bounds: Bounds { min, max },
    }
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
const fn minutes(n: u64) -> Duration {
    secs(n * 60)
}
const fn hours(n: u64) -> Duration {
    secs(n * 3600)
}
const fn days(n: u64) -> Duration {
    secs(n * 86_400)
}

/// The longest time that stands for something which does not end by itself: a hundred years.
const CENTURY: Duration = limits::TTL_RANGE.1;

// ---- the queue of the replies that somebody waits for

/// How long a reply waits for somebody to ask for it.
pub const REPLY_TTL: Duration = hours(1);
/// How many replies wait at the most; then the oldest are dropped.
pub const MAX_REPLIES: u64 = 100_000;
/// How many bytes their bodies have together at the most; then the oldest are dropped.
pub const MAX_REPLY_BYTES: u64 = 256 * 1024 * 1024;

/// The host's own queue. A reply that nobody asks for must not keep a handler from replying.
#[must_use]
pub fn replies() -> QueuePolicy {
    QueuePolicy {
        default_ttl: Some(REPLY_TTL),
        on_expiry: OnExpiry::Drop,
        max_messages: Some(MAX_REPLIES),
        max_bytes: Some(MAX_REPLY_BYTES),
        on_full: OnFull::DropOldest,
        max_body: limits::MAX_BODY,
        pull: PullPolicy {
            allowed: Some(false),
            ..PullPolicy::default()
        },
        ..QueuePolicy::default()
    }
}

// ---- the file itself

/// The file that is read when none is named.
pub const FILE: &str = "gristmill.toml";
/// The most bytes of a configuration file.
pub const MAX_FILE: u64 = 1024 * 1024;
/// The most problems that are reported in one run; the rest is counted.
pub const MAX_PROBLEMS: usize = 50;
/// The most errors, and warnings, that are collected before they are sorted; the rest is counted.
pub const MAX_COLLECTED: usize = 1000;
/// The longest line, in bytes, that is shown with a problem; longer ones are only pointed to.
pub const MAX_EXCERPT: usize = 400;

// ---- [host]

/// The folder of the store, the cache and the socket, relative to the file.
pub const DATA_DIR: &str = "gristmill-data";
/// The folder of the modules, relative to the file.
pub const HANDLERS: &str = "handlers";
/// How many threads run handlers; 1 to 1024. The default is the number of cores.
pub const THREADS: Bounds<u32> = Bounds { min: 1, max: 1024 };
/// How many deliveries may run at once, over all queues: the size of the instance pool; 1 to 10000.
pub const MAX_IN_FLIGHT: Setting<u32> = setting(256, 1, 10_000);
/// How long running deliveries may go on after the host was asked to stop; 0 s to 1 h.
pub const SHUTDOWN_TIMEOUT: Setting<Duration> = setting(secs(25), Duration::ZERO, hours(1));
/// How often the folder of modules is read whether or not it was seen to change; 1 s to 1 d.
pub const SCAN_INTERVAL: Setting<Duration> = setting(secs(30), secs(1), days(1));
/// How many earlier versions of each module are kept for a rollback; 1 to 100.
pub const KEEP_VERSIONS: Setting<u32> = setting(3, 1, 100);
/// How long a send or a receive may have to wait for the store; 1 ms to 1 min.
pub const MAX_WAIT: Setting<Duration> = setting(secs(1), Duration::from_millis(1), secs(60));
/// The largest body that is kept with its message; larger ones are stored aside. 1 KiB to 1 MiB.
pub const INLINE_LIMIT: Setting<ByteSize> = setting(
    ByteSize::b(limits::DEFAULT_INLINE),
    ByteSize::kib(1),
    ByteSize::b(limits::MAX_INLINE),
);
/// How much of the disk stays free; 0 to 1 PiB. The default depends on the disk: see
/// [`gristmill_store::DiskReserve`].
pub const DISK_RESERVE: Bounds<ByteSize> = Bounds {
    min: ByteSize::b(0),
    max: ByteSize::pib(1),
};
/// What is logged: a level, or directives as `tracing` reads them.
pub const LOG: &str = "info";

// ---- [api]

/// How many may be connected over the network at once; 1 to 100000.
pub const MAX_CONNECTIONS: Setting<u32> = setting(1024, 1, 100_000);

// ---- [host.sandbox]

/// Whether pages to be reset are found by the kernel's page map instead of by trust in the pool.
pub const PAGEMAP_SCAN: bool = false;
/// CPU time of compiling one module; 1 s to 1 h.
pub const COMPILE_CPU: Setting<Duration> = setting(secs(120), secs(1), hours(1));
/// Memory for compiling one module; 256 MiB to 1 TiB.
pub const COMPILE_MEMORY: Setting<ByteSize> =
    setting(ByteSize::gib(4), ByteSize::mib(256), ByteSize::tib(1));
/// Bytes of one module file; 1 KiB to 1 GiB.
pub const MAX_MODULE_SIZE: Setting<ByteSize> =
    setting(ByteSize::mib(64), ByteSize::kib(1), ByteSize::gib(1));

// ---- [queue.NAME]

/// How many messages of a queue its handler may have in flight at once; 1 to 10000.
pub const CONCURRENCY: Setting<u32> = setting(64, 1, 10_000);
/// How long a pull consumer holds a message unless it says otherwise; 0 s to 12 h.
pub const VISIBILITY_TIMEOUT: Setting<Duration> =
    setting(secs(30), Duration::ZERO, limits::MAX_VISIBILITY);
/// How many messages of a queue pull consumers may hold at once; 1 to 1000000.
pub const MAX_PULLED: Setting<u32> = setting(limits::DEFAULT_MAX_PULLED, 1, 1_000_000);
/// How many messages a batch has at the most; 1 to 1000. No default: no batches.
pub const BATCH_SIZE: Bounds<u32> = Bounds { min: 1, max: 1000 };
/// How long the first message of a batch waits for others; 0 s (for none) to 5 min.
pub const BATCH_WAIT: Setting<Duration> = setting(Duration::ZERO, Duration::ZERO, minutes(5));
/// Bytes of bodies and attributes of a batch; 1 KiB to 256 MiB, and at most half of its handler's
/// memory. A larger message is a batch of its own.
pub const BATCH_BYTES: Setting<ByteSize> =
    setting(ByteSize::mib(4), ByteSize::kib(1), ByteSize::mib(256));
/// How many messages of one key may be in flight at once; 1 to 10000. No default: no such limit.
pub const CONCURRENCY_PER_KEY: Bounds<u32> = Bounds {
    min: 1,
    max: 10_000,
};
/// How many messages may start within the time that a rate names; 1 to 1000000.
pub const RATE: Bounds<u32> = Bounds {
    min: 1,
    max: 1_000_000,
};
/// How many messages may start at once under a rate; 1 to 1000000. The default is one second's worth,
/// and at least one.
pub const BURST: Bounds<u32> = Bounds {
    min: 1,
    max: 1_000_000,
};
/// Attempts in all; 1 to 1000000.
pub const MAX_ATTEMPTS: Setting<u32> = setting(10, 1, 1_000_000);
/// The delay after the first failure; 0 s (at once) to 1 d.
pub const BACKOFF_BASE: Setting<Duration> = setting(secs(1), Duration::ZERO, days(1));
/// By how much the delay grows with each failure; 1 (not at all) to 100.
pub const BACKOFF_FACTOR: Setting<f64> = setting(2.0, 1.0, 100.0);
/// The longest delay between attempts; 0 s to 30 d, and not less than the base.
pub const BACKOFF_CAP: Setting<Duration> = setting(minutes(15), Duration::ZERO, days(30));
/// The age after which a message is not tried again; 1 s to 100 years. No default: no such age.
pub const MAX_AGE: Bounds<Duration> = Bounds {
    min: secs(1),
    max: CENTURY,
};
/// How long messages wait that name no delay; 0 s to 100 years.
pub const DELAY: Setting<Duration> = setting(Duration::ZERO, Duration::ZERO, CENTURY);
/// The time-to-live of messages that name none; 1 ms to 100 years. No default: they do not expire.
pub const TTL: Bounds<Duration> = Bounds {
    min: limits::TTL_RANGE.0,
    max: limits::TTL_RANGE.1,
};
/// How many messages may be ready, scheduled and in flight together; 1 to 10^12. No default: no
/// such limit.
pub const MAX_MESSAGES: Bounds<u64> = Bounds {
    min: 1,
    max: 1_000_000_000_000,
};
/// How many bytes the bodies of these may have together; 1 KiB to 1 PiB. No default: no such limit.
pub const MAX_BYTES: Bounds<ByteSize> = Bounds {
    min: ByteSize::kib(1),
    max: ByteSize::pib(1),
};
/// Bytes of one body; 1 byte to what the core can take.
pub const MAX_MESSAGE_SIZE: Setting<ByteSize> = setting(
    ByteSize::b(limits::DEFAULT_MAX_BODY),
    ByteSize::b(1),
    ByteSize::b(limits::MAX_BODY),
);
/// How long dead letters are kept, from death on; 1 s to 100 years, or for ever.
pub const DEAD_RETENTION: Setting<Duration> = setting(days(14), secs(1), CENTURY);
/// How long a dedup id is remembered, from acceptance on; 20 s to 7 d.
pub const DEDUP_WINDOW: Setting<Duration> = setting(minutes(5), secs(20), days(7));

// ---- [sqs]

/// Who is said to own the queues.
pub const SQS_ACCOUNT: &str = "000000000000";
/// Where they are said to be.
pub const SQS_REGION: &str = "us-east-1";

// ---- [cron.NAME]

/// The most characters of a crontab entry's name.
pub const MAX_CRON_NAME: usize = 100;
/// The zone of an entry that names none.
pub const CRON_ZONE: &str = "UTC";
/// How urgent the messages of an entry are; 0 to 9.
pub const CRON_PRIORITY: Setting<u8> = setting(4, 0, 9);
/// A tick that is later than this, though a host ran, counts as missed. Not in the file.
pub const CRON_LATE: Duration = minutes(1);
/// How many missed ticks fire at the most, the latest ones, with `missed = "all"`. Not in the file.
pub const CRON_MAX_MISSED: usize = 1000;
/// How long a tick that could not be done waits to be tried again: the first time, doubling up to
/// the last. Not in the file.
pub const CRON_RETRY: Bounds<Duration> = Bounds {
    min: secs(1),
    max: minutes(1),
};
/// How often the clock is looked at though no tick is due: timers stand still while a machine
/// sleeps. Not in the file.
pub const CRON_LOOK: Duration = secs(30);
/// The shortest rest between two looks at the clock. Not in the file.
pub const CRON_MIN_SLEEP: Duration = millis(20);

// ---- [handler.NAME]

/// The most characters of a handler's name.
pub const MAX_HANDLER_NAME: usize = 100;
/// How many messages a handler may have in flight at once, of all its queues; 1 to 10000. No default:
/// as many as its queues have.
pub const HANDLER_CONCURRENCY: Bounds<u32> = Bounds {
    min: 1,
    max: 10_000,
};
/// Wall-clock time of one delivery, host calls included; 1 ms to 12 h.
pub const TIMEOUT: Setting<Duration> = setting(secs(30), millis(1), hours(12));
/// Wall-clock time of one delivery with all its extensions; 1 ms to 12 h, and not less than the
/// timeout. A timeout above the default raises the default.
pub const MAX_TIMEOUT: Setting<Duration> = setting(minutes(15), millis(1), hours(12));
/// CPU time of one delivery; 1 ms to 12 h.
pub const CPU_TIME: Setting<Duration> = setting(secs(10), millis(1), hours(12));
/// Bytes of each linear memory; one page of Wasm to what 32 bits can address.
pub const MEMORY: Setting<ByteSize> =
    setting(ByteSize::mib(64), ByteSize::kib(64), ByteSize::gib(4));
/// Elements of each table. Not in the file: nobody needs to change it.
pub const TABLE_ELEMENTS: u64 = 100_000;
/// Bytes of stdout, stderr and log lines kept of one delivery; 0 to 16 MiB.
pub const OUTPUT: Setting<ByteSize> = setting(ByteSize::kib(64), ByteSize::b(0), ByteSize::mib(16));
/// How many deliveries an instance serves; 1 to 1000000. The default is for the host to say.
pub const MAX_CALLS: Bounds<u32> = Bounds {
    min: 1,
    max: 1_000_000,
};
/// Messages that one delivery may send; 0 to 10000.
pub const MAX_SENDS: Setting<u32> = setting(100, 0, 10_000);
/// Bytes of the bodies of these together; 0 to 256 MiB.
pub const MAX_SEND_BYTES: Setting<ByteSize> =
    setting(ByteSize::mib(4), ByteSize::b(0), ByteSize::mib(256));
/// State keys that one delivery may read or write; 0 to 100000.
pub const MAX_STATE_KEYS: Setting<u32> = setting(1000, 0, 100_000);
/// Bytes of the values that one delivery may write; 0 to 256 MiB.
pub const MAX_STATE_BYTES: Setting<ByteSize> =
    setting(ByteSize::mib(4), ByteSize::b(0), ByteSize::mib(256));
/// The most entries of each of `env`, `config` and `secrets`.
pub const MAX_PAIRS: usize = 256;
/// The most bytes of a name in `env`, `config` or `secrets`.
pub const MAX_PAIR_NAME: usize = 256;
/// The most bytes of a value in `env` or `config`, and of a secret.
pub const MAX_PAIR_VALUE: usize = 64 * 1024;
