//! Every key that the file may have: one table for the parser's "did you mean", the example file,
//! the reference in the README and the answer to "does this need a restart?".
//!
//! Knows names, texts and tables; does not know how a value is read. To add a key: a row here, a
//! bound in [`super::defaults`], a field in [`super::raw`] and in the configuration.
//! The tests notice a missing one, and rewrite `example.toml`.

/// Which table a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// `[host]`
    Host,
    /// `[host.sandbox]`
    Sandbox,
    /// `[api]`
    Api,
    /// `[queue.NAME]`, and `[defaults.queue]` for all queues
    Queue,
    /// `backoff` of a queue
    Backoff,
    /// `[topic.NAME]`
    Topic,
    /// `[handler.NAME]`, and `[defaults.handler]` for all handlers
    Handler,
    /// `[cron.NAME]`
    Cron,
    /// `[sqs]`
    Sqs,
}

impl Table {
    /// What stands before the key's name when it is written in full: `host.`, `queue.NAME.`, …
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Host => "host.",
            Self::Sandbox => "host.sandbox.",
            Self::Api => "api.",
            Self::Queue => "queue.NAME.",
            Self::Backoff => "queue.NAME.backoff.",
            Self::Topic => "topic.NAME.",
            Self::Handler => "handler.NAME.",
            Self::Cron => "cron.NAME.",
            Self::Sqs => "sqs.",
        }
    }
}

/// A key, as the reference describes it.
#[derive(Clone, Copy, Debug)]
pub struct KeyDoc {
    /// The table it belongs to.
    pub table: Table,
    /// Its name in that table.
    pub name: &'static str,
    /// The value it has unless the file says otherwise, as TOML; `None` if there is none.
    pub default: Option<&'static str>,
    /// A value that makes sense, as TOML; the default if there is one.
    pub example: &'static str,
    /// What it may be.
    pub bounds: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether a change takes effect only when the host starts.
    pub restart: bool,
    /// Whether `[defaults.…]` may have it.
    pub shared: bool,
}

impl KeyDoc {
    /// The name written in full, such as `queue.NAME.ttl`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}{}", self.table.prefix(), self.name)
    }
}

/// Every key, by table, in the order in which they are best read.
#[must_use]
pub fn reference() -> &'static [KeyDoc] {
    KEYS
}

/// The keys of a table.
pub fn of(table: Table) -> impl Iterator<Item = &'static KeyDoc> {
    KEYS.iter().filter(move |key| key.table == table)
}

const fn key(
    table: Table,
    name: &'static str,
    default: &'static str,
    bounds: &'static str,
    doc: &'static str,
) -> KeyDoc {
    KeyDoc {
        table,
        name,
        default: Some(default),
        example: default,
        bounds,
        doc,
        restart: false,
        shared: true,
    }
}

/// A key without a default.
const fn optional(
    table: Table,
    name: &'static str,
    example: &'static str,
    bounds: &'static str,
    doc: &'static str,
) -> KeyDoc {
    KeyDoc {
        default: None,
        ..key(table, name, example, bounds, doc)
    }
}

/// A key that is read only when the host starts.
const fn at_start(key: KeyDoc) -> KeyDoc {
    KeyDoc {
        restart: true,
        ..key
    }
}

/// A key that makes no sense as a default for all.
const fn own(key: KeyDoc) -> KeyDoc {
    KeyDoc {
        shared: false,
        ..key
    }
}

use Table::{Api, Backoff, Cron, Handler, Host, Queue, Sandbox, Sqs, Topic};

#[rustfmt::skip]
static KEYS: &[KeyDoc] = &[
    at_start(key(Host, "data_dir", r#""gristmill-data""#, "a path, relative to this file",
        "The folder of the store, the cache of compiled modules and the socket. Only one host can use it at a time.")),
    at_start(key(Host, "handlers", r#""handlers""#, "a path, relative to this file",
        "The folder of the handlers' modules. It is watched: a changed module replaces the old one.")),
    at_start(optional(Host, "threads", "2", "1 to 1024",
        "How many threads run handlers. One for each core unless given.")),
    at_start(key(Host, "max_in_flight", "256", "1 to 10000",
        "How many deliveries may run at once, over all queues.")),
    key(Host, "shutdown_timeout", r#""25s""#, "0s to 1h",
        "How long deliveries that run may go on after the host was asked to stop. What is not done by then is handed back, uncounted."),
    key(Host, "scan_interval", r#""30s""#, "1s to 1d",
        "How often the folder of modules is read, whether or not it was seen to change."),
    key(Host, "keep_versions", "3", "1 to 100",
        "How many earlier versions of each module are kept for a rollback."),
    at_start(key(Host, "inline_limit", r#""256KiB""#, "1KiB to 1MiB",
        "Size of the largest body that is kept with its message. A larger one is stored aside, in a file of its own, and handlers can read it piece by piece.")),
    at_start(key(Host, "max_wait", r#""1s""#, "1ms to 1m",
        "How long a send may take until it is durable. While sends take longer, fewer are let in at once, and the others are turned away with `busy` (503); they are worth trying again. Receives and acknowledgements are not turned away for that.")),
    at_start(key(Host, "disk_reserve", r#""auto""#, r#""auto", or 0B to 1PiB"#,
        "How much of the disk of `data_dir` stays free: when less would, sends are refused, so that what is there can still be handled. auto is a twentieth of the disk, from 256MiB to 16GiB, but never more than a quarter of it. 0B keeps nothing free.")),
    at_start(key(Host, "watch", r#""auto""#, r#""auto" or "poll""#,
        "How changed modules are noticed: told by the system where it can, or only by reading the folder (for network file systems).")),
    at_start(key(Host, "log", r#""info""#, r#"off, error, warn, info, debug, trace, or directives such as "info,gristmill=debug""#,
        "What is logged.")),

    at_start(key(Sandbox, "pagemap_scan", "false", "true or false",
        "Let the kernel tell which pages of an instance are to be reset. Quicker for large handlers; off because isolation goes before speed.")),
    at_start(key(Sandbox, "compile_cpu", r#""2m""#, "1s to 1h",
        "CPU time for compiling one module.")),
    at_start(key(Sandbox, "compile_memory", r#""4GiB""#, "256MiB to 1TiB",
        "Address space for compiling one module. The compiler uses a thread for each 256MiB of it, at most one for every four cores.")),
    key(Sandbox, "max_module_size", r#""64MiB""#, "1KiB to 1GiB",
        "Size of one module file. A larger one is not loaded."),
    at_start(key(Sandbox, "confine", r#""auto""#, r#""auto", "required" or "off""#,
        "Whether the kernel confines the host itself, beside the sandbox of each handler: it writes in `data_dir` only, runs nothing but itself, and reads the folder of modules, those of this file and of secrets, and `readable`. auto: as far as the kernel knows how to (all of it from Linux 6.2 on); required: the host does not start otherwise.")),
    at_start(optional(Sandbox, "readable", r#"["/srv/releases"]"#, "paths, relative to this file",
        "What else a confined host may read: folders to which modules, the folder of modules or secrets are linked, or will be. None unless given.")),

    at_start(optional(Api, "listen", r#""127.0.0.1:7733""#, r#"an address and a port, such as "127.0.0.1:7733" or "[::]:7733""#,
        "Where the HTTP API listens on the network, beside the socket in `data_dir`. Nowhere unless given. An address that other machines can reach needs `auth`.")),
    at_start(optional(Api, "auth", r#""token""#, r#""none" or "token""#,
        "Who is let in over the network: everybody who can connect, or who shows a token made with `gristmill token create`. Everybody unless given, which is allowed at an address of this machine only.")),
    at_start(optional(Api, "tls_cert", r#""tls/cert.pem""#, "a path, relative to this file",
        "The chain of certificates as PEM, the host's own first; with `tls_key` the API is served by TLS only. Read again when the file changes. No TLS unless given.")),
    at_start(optional(Api, "tls_key", r#""tls/key.pem""#, "a path, relative to this file",
        "The private key of `tls_cert`, as PEM without a passphrase.")),
    at_start(optional(Api, "client_ca", r#""tls/clients.pem""#, "a path, relative to this file",
        "Authorities as PEM; each client then has to have a certificate of one of them, beside what `auth` wants. Clients need none unless given.")),
    at_start(key(Api, "max_connections", "1024", "1 to 100000",
        "How many may be connected over the network at once. More are turned away with 503.")),
    at_start(optional(Api, "rate", r#""5000/s""#, r#"texts such as "5/s", "300/min", "1000/h", "1/d"; the number is at most 1000000"#,
        "How many requests are taken from the network, of all clients together; beyond that they are answered with 429. One second's worth may come at once. No limit unless given.")),
    at_start(optional(Api, "rate_per_client", r#""100/s""#, r#"as `rate`"#,
        "How many requests are taken of one client: of one token, or without tokens of one address. No limit unless given.")),

    own(optional(Queue, "handler", r#""orders.wasm""#, "a file name that ends in .wasm, .js or .mjs",
        "The module that handles the messages, in the folder `host.handlers`: WebAssembly, or JavaScript as it is. Several queues may share one. A queue without a handler holds its messages for consumers outside.")),
    own(optional(Queue, "build", r#""cargo wasm""#, "a command",
        "How the module is made: a command for the shell, in the folder of this file. `gristmill dev` runs it; `serve` never runs a command. Queues that share a handler need say it once.")),
    own(optional(Queue, "watch", r#"["src", "Cargo.toml"]"#, "paths, relative to this file",
        "What the module is made from: `gristmill dev` runs `build` again when a file there changes. Hidden files and folders, target, node_modules and __pycache__ are left out. [\"src\"] unless given.")),
    key(Queue, "concurrency", "64", "1 to 10000",
        "How many messages of the queue its handler may have in flight at once."),
    optional(Queue, "pull", "true", "true or false",
        "Whether consumers outside may pull messages, over HTTP or SQS. If the queue has a handler as well, they compete under the same rules. They may unless given, if the queue has no handler."),
    key(Queue, "visibility_timeout", r#""30s""#, "0s to 12h",
        "How long a pull consumer holds a message if it does not say. If it has not settled it by then, the attempt has failed, and the message is due again."),
    key(Queue, "max_pulled", "120000", "1 to 1000000",
        "How many messages of the queue pull consumers may hold at once."),
    optional(Queue, "batch_size", "16", "1 to 1000",
        "How many messages its handler may get in one call; each then has its own verdict. The module has to take batches. One at a time unless given."),
    optional(Queue, "batch_wait", r#""200ms""#, "0s to 5m",
        "How long the first message of a batch waits for others. Nothing waits when no more can come. Not at all unless given: a batch is what is there."),
    optional(Queue, "batch_bytes", r#""2MiB""#, "1KiB to 256MiB",
        "Size of the bodies and attributes of a batch; at most half of the handler's `memory`. A larger message is a batch of its own. 4MiB unless given."),
    optional(Queue, "rate", r#""5/s""#, r#"texts such as "5/s", "300/min", "1000/h", "1/d"; the number is at most 1000000"#,
        "How many messages of the queue may start within a time. Each start takes a token, also one that is handed back; tokens come in evenly. No limit unless given."),
    optional(Queue, "burst", "10", "1 to 1000000",
        "How many messages may start at once after a pause: the tokens that `rate` saves up. After a start of the host they are there. One second's worth, at least 1, unless given."),
    optional(Queue, "key", r#""tenant""#, r#"the name of an attribute, or "gristmill-group" for the group"#,
        "Whose message it is: messages with different values take turns, so that a busy one does not hold up the others. Read when a message is accepted (or redriven) and kept with it; messages without it, and those accepted before this was given, are of one key together. All messages in one row unless given."),
    optional(Queue, "concurrency_per_key", "2", "1 to 10000",
        "How many messages of one `key` may be in flight at once. No limit unless given."),
    optional(Queue, "rate_per_key", r#""1/s""#, r#"as `rate`"#,
        "How many messages of one `key` may start within a time. No limit unless given."),
    optional(Queue, "burst_per_key", "5", "1 to 1000000",
        "How many messages of one `key` may start at once after a pause; as `burst`."),
    key(Queue, "max_attempts", "10", "1 to 1000000",
        "How often a message is tried in all. Then it goes to the dead store."),
    key(Queue, "backoff", r#"{ base = "1s", factor = 2, cap = "15m", jitter = "equal" }"#, "a table, or a duration for `base` alone",
        "How long a failed message waits: min(cap, base * factor^(k-1)) after the k-th failure, spread by the jitter."),
    optional(Queue, "max_age", r#""1h""#, "1s to 36500d",
        "A message older than this is not tried again after a failure. No limit unless given."),
    key(Queue, "delay", r#""0s""#, "0s to 36500d",
        "How long a message that names no delay of its own waits before it is due."),
    optional(Queue, "ttl", r#""1d""#, "1ms to 36500d",
        "When a message that names no time-to-live of its own expires, counted from acceptance. Never unless given."),
    key(Queue, "on_expiry", r#""dead-letter""#, r#""dead-letter" or "drop""#,
        "What happens to a message that expires. It is counted either way."),
    key(Queue, "on_group_failure", r#""skip""#, r#""skip", "halt" or "dead-letter-rest""#,
        "What becomes of a group when one of its messages dies: it goes on, it waits until it is resumed, or what waits behind it dies too."),
    optional(Queue, "max_messages", "1000000", "1 to 1000000000000",
        "How many messages may be ready, scheduled and in flight together. What happens to a full queue says `on_full`. No limit unless given."),
    optional(Queue, "max_bytes", r#""1GiB""#, "1KiB to 1PiB",
        "How many bytes their bodies may have together; at least `max_message_size`. No limit unless given."),
    key(Queue, "on_full", r#""reject""#, r#""reject" or "drop-oldest""#,
        "What happens when a message is sent to a full queue: it is refused, or the oldest that wait are removed until it has room. What is in flight is never removed."),
    key(Queue, "max_message_size", r#""64MiB""#, "1B to 1GiB",
        "Size of one body. `max_bytes` unless given, if that is less than the default."),
    key(Queue, "dead_retention", r#""14d""#, r#"1s to 36500d, or "forever" (also 0)"#,
        "How long dead letters are kept, counted from death."),
    own(optional(Queue, "dead_letter", r#""invoices""#, "the name of a declared queue",
        "The ordinary queue that takes what dies in this one, instead of its own dead store. The message keeps its id and its envelope and tells in attributes that begin with `gristmill-dead-` where, when and of what it died.")),
    key(Queue, "dedup", r#""id""#, r#""id", "content" or "derived""#,
        "What makes a second message within the window a repeat: the same deduplication id; or, without one, the same body and content type; or, without one, the same place among what a handler sends for the same message."),
    key(Queue, "dedup_window", r#""5m""#, "20s to 7d",
        "How long that is remembered, counted from acceptance."),

    key(Backoff, "base", r#""1s""#, "0s to 1d",
        "The wait after the first failure."),
    key(Backoff, "factor", "2", "1 to 100",
        "By how much the wait grows with each failure."),
    key(Backoff, "cap", r#""15m""#, "0s to 30d",
        "The longest wait, also of one that a handler chooses; at least `base`."),
    key(Backoff, "jitter", r#""equal""#, r#""equal", "full" or "none""#,
        "How the wait is spread: half of it is drawn, all of it, or nothing."),

    own(optional(Topic, "queues", r#"["invoices"]"#, "names of declared queues; with those of `filter` at most 100",
        "The queues that get a copy of every message. No queue can have the topic's name: whatever can be sent to a queue can be sent to a topic.")),
    own(optional(Topic, "filter", r#"{ notifications = { type = "order.placed", attributes.cents = { min = 1000 } } }"#,
        "a table of conditions for each queue, or a list of such tables, one of which has to hold",
        "The queues that get a copy of some messages. All conditions of a table have to hold. They ask for `type`, `schema_version`, `source`, `content_type`, `correlation_id`, `reply_to`, `group`, `priority` or `attributes.NAME`, and want a text, a number, a `prefix`, a range (`min` or `above`, `max` or `below`), to know whether it `exists`, or one of a list of these; docs/topics.md has them all.")),
    own(key(Topic, "unmatched", r#""count""#, r#""count" or "refuse""#,
        "What becomes of a message that no subscription matches: it is accepted, counted and goes nowhere, or it is refused.")),

    optional(Handler, "send_to", r#"["invoices", "notifications"]"#, "names of declared queues and topics",
        "The queues and topics it may send to. None unless given."),
    key(Handler, "reply", "false", "true or false",
        "Whether it may answer to the `reply-to` of its messages."),
    key(Handler, "state", "false", "true or false",
        "Whether it has a durable state of its own."),
    optional(Handler, "concurrency", "16", "1 to 10000",
        "How many messages it may have in flight at once, of all its queues together; these take turns. As many as `queue.NAME.concurrency` of its queues allows unless given."),
    key(Handler, "timeout", r#""30s""#, "1ms to 12h",
        "Wall-clock time of one delivery, host calls included."),
    key(Handler, "max_timeout", r#""15m""#, "1ms to 12h",
        "Wall-clock time of one delivery with all the extensions it asks for; at least `timeout`, which raises this default."),
    key(Handler, "cpu_time", r#""10s""#, "1ms to 12h",
        "CPU time of one delivery."),
    key(Handler, "memory", r#""64MiB""#, "64KiB to 4GiB",
        "Size of each linear memory."),
    key(Handler, "output", r#""64KiB""#, "0B to 16MiB",
        "Bytes of stdout, stderr and log lines kept of one delivery. The rest is thrown away."),
    key(Handler, "max_calls", r#""auto""#, r#""auto", or 1 to 1000000"#,
        "How many deliveries an instance serves. 1 is a fresh instance for each; auto means 1 unless a fresh one costs so much that the host reuses them, and says so."),
    key(Handler, "max_sends", "100", "0 to 10000",
        "How many messages one delivery may send."),
    key(Handler, "max_send_bytes", r#""4MiB""#, "0B to 256MiB",
        "How many bytes their bodies may have together."),
    key(Handler, "max_state_keys", "1000", "0 to 100000",
        "How many keys of the state one delivery may read or write."),
    key(Handler, "max_state_bytes", r#""4MiB""#, "0B to 256MiB",
        "How many bytes of values one delivery may write."),
    optional(Handler, "env", r#"{ TZ = "Europe/Berlin" }"#, "names and texts",
        "Environment variables. Empty unless given: nothing of the host's environment is passed on."),
    optional(Handler, "config", r#"{ currency = "EUR" }"#, "names and texts",
        "What `wasi:config/store` tells it. Empty unless given."),
    optional(Handler, "secrets", r#"{ api_key = { env = "API_KEY" }, password = { file = "/run/secrets/password" } }"#,
        "names, each with `env` (a variable of the host) or `file` (a path, relative to this file)",
        "What `gristmill:queue/secrets` tells it. Read when the configuration is loaded; never written in this file."),
    key(Handler, "require", r#""at-least-once""#, r#""at-least-once" or "atomic""#,
        "The least guarantee its imports have to allow. `atomic` refuses a module that can reach the outside."),
    own(optional(Handler, "form", r#""command""#, r#""queue", "messaging", "http" or "command""#,
        "How it is called, for a module that could be called in several ways; docs/forms.md tells them apart. What it exports decides unless given.")),
    key(Handler, "on_failure", r#""retry""#, r#""retry" or "reject""#,
        "What it means if a program fails with another exit status than 65 (reject) or 75 (retry)."),
    own(optional(Handler, "stdout_to", r#""invoices""#, "the name of a declared queue or topic",
        "Where the lines go that a program writes to stdout, one message for each, committed with the ack; it may send there, then. They go to the log unless given.")),
    own(optional(Handler, "sha256", r#""9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08""#, "64 hexadecimal digits",
        "Only a module with this SHA-256 is run. Any unless given.")),

    own(optional(Cron, "schedule", r#""0 3 * * *""#, "five fields, six with seconds in front, or a name such as @daily",
        "When it ticks: minute, hour, day of the month, month, day of the week. Days may also be L (the last), 15W (the weekday nearest to the 15th) or MON#2 (the second Monday). An entry with another schedule or zone than before starts anew. Needed.")),
    own(optional(Cron, "queue", r#""invoices""#, "the name of a declared queue or topic",
        "Where its messages go. They have the attributes `gristmill-cron`, its name, and `gristmill-tick`, the tick in UTC. Needed.")),
    own(key(Cron, "zone", r#""UTC""#, "a name of the IANA database, such as Europe/Berlin",
        "The time zone of the schedule. An entry for one time of day ticks once a day though clocks change: at once after a time that is left out, and the first time when it comes twice. Any other follows the time that really passes.")),
    own(key(Cron, "missed", r#""last""#, r#""skip", "last" or "all""#,
        "What becomes of ticks that were missed because no host ran, the machine slept or the tick before found no room for a while: none is made up for, the last one fires, or all do, but not more than the latest 1000. A tick that finds its queue full is not missed: it is tried again until there is room.")),
    own(key(Cron, "enabled", "true", "true or false",
        "Whether it ticks. One that is enabled again starts from then.")),
    own(key(Cron, "body", r#""""#, "a text of at most `max_message_size` of its queue, and 1MiB",
        "The body of its messages.")),
    own(optional(Cron, "content_type", r#""application/json""#, "a media type",
        "The media type of the body.")),
    own(optional(Cron, "attributes", r#"{ tenant = "all" }"#, "names and texts",
        "Attributes of its messages. None unless given.")),
    own(optional(Cron, "type", r#""report.due""#, "a text",
        "What kind of message it is.")),
    own(optional(Cron, "schema_version", r#""2""#, "a text",
        "The version of the body's schema.")),
    own(optional(Cron, "source", r#""crontab""#, "a text",
        "Who sends them.")),
    own(optional(Cron, "group", r#""reports""#, "a text",
        "Their ordering key: they are handled in order, one at a time. None unless given.")),
    own(optional(Cron, "correlation_id", r#""nightly""#, "a text",
        "Ties replies to them.")),
    own(optional(Cron, "reply_to", r#""notifications""#, "the name of a queue",
        "Where their handler may answer to. Nowhere unless given.")),
    own(key(Cron, "priority", "4", "0 to 9",
        "How urgent they are: higher first, ignored inside a group.")),
    own(optional(Cron, "ttl", r#""12h""#, "1ms to 36500d",
        "When each of them expires, counted from its tick being sent. As the queue says unless given.")),

    own(at_start(optional(Sqs, "listen", r#""127.0.0.1:9324""#, "an address with a port",
        "Where the host speaks the API of Amazon SQS: see docs/sqs.md. Nowhere unless given."))),
    own(at_start(optional(Sqs, "auth", r#""sigv4""#, r#""none" or "sigv4""#,
        "Who is let in: everybody who can connect, whatever they sign with, or who signs with an access key made with `gristmill token create --aws`. Everybody unless given, which is allowed at an address of this machine only."))),
    own(at_start(optional(Sqs, "tls_cert", r#""tls/cert.pem""#, "a path, relative to this file",
        "The chain of certificates as PEM, the host's own first; with `tls_key` the endpoint is served by TLS only. Read again when the file changes. No TLS unless given."))),
    own(at_start(optional(Sqs, "tls_key", r#""tls/key.pem""#, "a path, relative to this file",
        "The private key of `tls_cert`, as PEM without a passphrase."))),
    own(at_start(optional(Sqs, "client_ca", r#""tls/clients.pem""#, "a path, relative to this file",
        "Authorities as PEM; each client then has to have a certificate of one of them, beside what `auth` wants. Clients need none unless given."))),
    own(at_start(optional(Sqs, "public_url", r#""http://queue:9324""#, "a URL without a path",
        "What the URLs of queues begin with, if clients reach the host under another name than they ask for. The address that was asked unless given."))),
    own(at_start(key(Sqs, "account", r#""000000000000""#, "twelve digits",
        "Who is said to own the queues, in URLs and ARNs."))),
    own(at_start(key(Sqs, "region", r#""us-east-1""#, "small letters, digits and hyphens",
        "Where they are said to be, in ARNs; a request that is signed for another region is told that one."))),
    own(at_start(key(Sqs, "limits", r#""relaxed""#, r#""strict" or "relaxed""#,
        "Whether the waiting periods of AWS are kept: 60 seconds between two purges of a queue, and before a deleted queue can be made again, and messages are retained for 60 seconds at least."))),
];
