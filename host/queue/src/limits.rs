//! Every limit of the core, by name.

use std::time::Duration;

/// The most bytes of a message body that a queue can be configured to take.
pub const MAX_BODY: u64 = 1024 * 1024 * 1024;
/// The most bytes of a message body that a queue takes unless it says otherwise.
pub const DEFAULT_MAX_BODY: u64 = 64 * 1024 * 1024;
/// The most bytes of a body that can be kept with its message instead of aside.
pub const MAX_INLINE: u64 = 1024 * 1024;
/// The most bytes of a body that is kept with its message unless the configuration says otherwise.
pub const DEFAULT_INLINE: u64 = 256 * 1024;
/// The most bytes of a large body that a handler reads in one call.
pub const MAX_BODY_READ: u32 = 1024 * 1024;
/// The most attributes of a message.
pub const MAX_ATTRIBUTES: usize = 64;
/// The most bytes of an attribute's name.
pub const MAX_ATTRIBUTE_NAME: usize = 256;
/// The most bytes of all attributes of a message, names and values together.
pub const MAX_ATTRIBUTE_BYTES: usize = 64 * 1024;
/// The most bytes of each other field of the envelope (content type, group, correlation id, …).
pub const MAX_ENVELOPE_FIELD: usize = 1024;
/// The most members of a `tracestate`.
pub const MAX_TRACESTATE_MEMBERS: usize = 32;
/// Attribute names that start so are Gristmill's own.
pub const RESERVED_ATTRIBUTE_PREFIX: &str = "gristmill-";
/// The most subscriptions of a topic.
pub const MAX_SUBSCRIPTIONS: usize = 100;
/// The most filters of one subscription.
pub const MAX_FILTERS: usize = 20;
/// The most values, of all conditions together, that one filter asks for.
pub const MAX_FILTER_VALUES: usize = 200;
/// The most messages that one send may make, with the copies for each queue of a topic.
pub const MAX_COPIES: usize = 20_000;
/// The most bytes that their bodies may have together.
pub const MAX_COPY_BYTES: u64 = 256 * 1024 * 1024;
/// The queue of the replies that somebody waits for. It belongs to the host.
pub const REPLIES: &str = "gristmill-replies";
/// The most bytes kept of the reason a handler gives for a failure.
pub const MAX_REASON: usize = 4 * 1024;
/// How often a message may be postponed; once more is death.
pub const MAX_POSTPONED: u32 = 100;
/// How often the host may die while a message is being handled; once more is death.
pub const MAX_CRASHES: u32 = 3;
/// How often an attempt is run again at once after a state conflict before it is run alone.
pub const MAX_CONFLICTS: u32 = 10;
/// The shortest and the longest time-to-live of a message.
pub const TTL_RANGE: (Duration, Duration) = (
    Duration::from_millis(1),
    Duration::from_secs(100 * 365 * 86_400),
);
/// For how many keys of a queue it is remembered what is left of their rate; a key whose bucket is
/// full again needs none. Of more than these, the one that is full again first is forgotten early.
pub const MAX_KEY_BUCKETS: usize = 1_000_000;
/// The most messages that one receive of a pull consumer gets.
pub const MAX_RECEIVE: u32 = 100;
/// The most bytes of bodies that one receive gets, beyond its first message.
pub const MAX_RECEIVE_BYTES: u64 = 8 * 1024 * 1024;
/// The longest that a receive waits for a message.
pub const MAX_RECEIVE_WAIT: Duration = Duration::from_secs(60);
/// The longest that a pull consumer may hold a message, with all extensions, from its receive on.
pub const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 3600);
/// How many messages of a queue pull consumers may hold at once, unless it says otherwise.
pub const DEFAULT_MAX_PULLED: u32 = 120_000;
/// The most receives that wait for a message at once, of all queues together.
pub const MAX_WAITING_RECEIVES: usize = 10_000;
/// The most messages that one settlement of pull consumers names.
pub const MAX_SETTLED: usize = 1000;
/// The most ended attempts whose history is kept with a message; the oldest go first.
pub const MAX_HISTORY: usize = 20;

/// The most messages that one batch may send, unless one delivery may send more.
pub const MAX_BATCH_SENDS: usize = 10_000;
/// The most state keys that one batch may read or write, unless one delivery may more.
pub const MAX_BATCH_STATE_KEYS: usize = 100_000;
/// The most bytes that one batch may send, and the most it may store, unless one delivery may more:
/// the host holds them all until the commit.
pub const MAX_BATCH_BYTES: u64 = 64 * 1024 * 1024;

/// The most bytes of a state key.
pub const MAX_STATE_KEY: usize = 512;
/// The most bytes of a state value.
pub const MAX_STATE_VALUE: u64 = 256 * 1024;
/// The most keys that one `list-keys` returns.
pub const MAX_LISTED_KEYS: u32 = 1000;
/// How many keys a delivery may list for each key that it may touch; a list counts as one more.
pub const LISTED_PER_TOUCHED_KEY: usize = 10;
/// The most changes of the state that one delivery can have undone by `rollback-to`. A change is
/// kept once for each mark before it.
pub const MAX_UNDO_STEPS: usize = 10_000;
