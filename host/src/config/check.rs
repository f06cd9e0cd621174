//! From what was typed to what is used: filling in defaults, and holding one value against another.
//!
//! Knows the rules between keys: names that must exist, limits that must fit each other. Does not
//! know TOML's syntax. It always builds a configuration, so that every rule is looked at; whether
//! that may be used is for the problems to say.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use gristmill_queue::policy::PullPolicy;
use gristmill_queue::retry::RetryPolicy;
use gristmill_queue::{QueueName, QueuePolicy};
use toml::Spanned;

use super::check_build::{self, TypedBuild};
use super::check_cron;
use super::check_handler::HandlerChecks;
use super::check_sqs;
use super::check_topic::Destinations;
use super::defaults::{self, Setting};
use super::modules::Modules;
use super::problem::{Place, Problems};
use super::raw::{RawBackoff, RawConfig, RawHost, RawQueue};
use super::section::Given;
use super::value::Show;
use super::{
    Config, Confine, HostConfig, QueueConfig, SandboxConfig, Surroundings, Watch, check_api,
    check_batch, check_dead, check_flow, check_topic, spelling,
};

/// Builds the configuration of the file at `source`. Its warnings are left empty.
pub fn build(
    raw: RawConfig,
    source: &Path,
    around: &Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Config {
    let base = source.parent().unwrap_or(Path::new(""));
    let host = build_host(&raw.host, base, around, problems);
    let mut queues = BTreeMap::new();
    let mut dead_letters = Vec::new();
    let mut batches = Vec::new();
    let mut builds = Vec::new();
    let mut modules = Modules::default();
    for (name, queue) in raw.queues {
        let key = |leaf: &str| format!("queue.{}.{leaf}", spelling::quoted(name.get_ref()));
        let merged = queue.clone().or(&raw.queue_defaults);
        if let Some(target) = &queue.dead_letter {
            dead_letters.push((name.clone(), target.clone()));
        }
        check_topic::check_reserved("queue", &name, problems);
        check_flow::note_idle(&queue, &merged, &key, problems);
        let queue = build_queue(&name, &merged, &host, &mut modules, problems);
        let batch = check_batch::batches(&merged, queue.batch, queue.handler.as_ref(), &key);
        batches.extend(batch);
        builds.extend(TypedBuild::of(&name, &merged, &queue));
        match QueueName::new(name.get_ref()) {
            Ok(valid) => drop(queues.insert(valid, queue)),
            Err(error) => {
                let key = format!("queue.{}", spelling::quoted(name.get_ref()));
                problems.error(name.span(), &key, error.to_string(), None);
            }
        }
    }
    let api = check_api::build(&raw.api, base, problems);
    check_dead::targets(&dead_letters, &mut queues, problems);
    let topics = check_topic::topics(raw.topics, &queues, problems);
    let destinations = Destinations {
        queues: &queues,
        topics: &topics,
    };
    let mut checks = HandlerChecks {
        base,
        host: &host,
        modules: &modules,
        destinations: &destinations,
        around,
        problems,
    };
    let handlers = checks.handlers(raw.handlers, &raw.handler_defaults);
    check_batch::check_memory(&batches, &handlers, problems);
    let cron = check_cron::entries(raw.cron, &destinations, problems);
    let sqs = check_sqs::build(&raw.sqs, base, problems);
    Config {
        host,
        api,
        queues,
        topics,
        handlers,
        builds: check_build::builds(builds, base, problems),
        sqs,
        cron: Arc::new(cron),
        warnings: Vec::new(),
        source: source.to_owned(),
        secret_files: Vec::new(),
    }
}

/// The value that was typed, or the default.
pub fn or_default<T: Copy>(given: &Given<T>, setting: &Setting<T>) -> T {
    given
        .as_ref()
        .map_or(setting.default, |given| *given.get_ref())
}

/// The value that was typed.
pub fn value<T: Copy>(given: &Given<T>) -> Option<T> {
    given.as_ref().map(|given| *given.get_ref())
}

/// Where the last of these was typed.
pub fn place<A, B>(first: &Given<A>, second: &Given<B>) -> Option<Place> {
    let first = first.as_ref().map(Spanned::span);
    first.or_else(|| second.as_ref().map(Spanned::span))
}

fn build_host(
    raw: &RawHost,
    base: &Path,
    around: &Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> HostConfig {
    let text = |given: &Given<String>, default: &str| {
        given
            .as_ref()
            .map_or(default.to_owned(), |given| given.get_ref().clone())
    };
    let data_dir = base.join(text(&raw.data_dir, defaults::DATA_DIR));
    let handlers = base.join(text(&raw.handlers, defaults::HANDLERS));
    check_folders(raw, &data_dir, &handlers, problems);
    check_log(&raw.log, problems);
    let sandbox = &raw.sandbox;
    HostConfig {
        data_dir,
        handlers,
        threads: value(&raw.threads).unwrap_or(around.cores),
        max_in_flight: or_default(&raw.max_in_flight, &defaults::MAX_IN_FLIGHT),
        shutdown_timeout: or_default(&raw.shutdown_timeout, &defaults::SHUTDOWN_TIMEOUT),
        scan_interval: or_default(&raw.scan_interval, &defaults::SCAN_INTERVAL),
        keep_versions: or_default(&raw.keep_versions, &defaults::KEEP_VERSIONS),
        inline_limit: or_default(&raw.inline_limit, &defaults::INLINE_LIMIT).as_u64(),
        max_wait: or_default(&raw.max_wait, &defaults::MAX_WAIT),
        disk_reserve: value(&raw.disk_reserve).unwrap_or_default(),
        watch: value(&raw.watch).unwrap_or(Watch::Auto),
        log: text(&raw.log, defaults::LOG),
        sandbox: SandboxConfig {
            pagemap_scan: value(&sandbox.pagemap_scan).unwrap_or(defaults::PAGEMAP_SCAN),
            compile_cpu: or_default(&sandbox.compile_cpu, &defaults::COMPILE_CPU),
            compile_memory: or_default(&sandbox.compile_memory, &defaults::COMPILE_MEMORY).as_u64(),
            max_module_size: or_default(&sandbox.max_module_size, &defaults::MAX_MODULE_SIZE)
                .as_u64(),
            confine: value(&sandbox.confine).unwrap_or(Confine::Auto),
            readable: check_readable(&sandbox.readable, base, problems),
        },
    }
}

/// Folders that the host may read beside its own. The root of all is refused: that is `confine = "off"`
/// for reading, in other words.
fn check_readable(
    given: &Given<Vec<Spanned<String>>>,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Vec<PathBuf> {
    const KEY: &str = "host.sandbox.readable";
    let given = given.iter().flat_map(|paths| paths.get_ref());
    let checked = given.filter_map(|typed| {
        let path = base.join(typed.get_ref());
        let named = !typed.get_ref().is_empty() && !typed.get_ref().contains('\0');
        if named && plain(&path).parent().is_some() {
            return Some(path);
        }
        problems.error(
            typed.span(),
            KEY,
            format!(
                "`{KEY}`: {:?} is not a folder that can be named here",
                typed.get_ref()
            ),
            "name the folders that modules or secrets are linked to".to_owned(),
        );
        None
    });
    checked.collect()
}

/// What the host writes must not lie where it looks for modules, nor the other way round.
fn check_folders(raw: &RawHost, data_dir: &Path, handlers: &Path, problems: &mut Problems<'_>) {
    for (key, given) in [
        ("host.data_dir", &raw.data_dir),
        ("host.handlers", &raw.handlers),
    ] {
        if let Some(given) = given
            && (given.get_ref().is_empty() || given.get_ref().contains('\0'))
        {
            problems.error(given.span(), key, format!("`{key}` is not a path"), None);
        }
    }
    let (data_dir, handlers) = (plain(data_dir), plain(handlers));
    if (data_dir.starts_with(&handlers) || handlers.starts_with(&data_dir))
        && let Some(place) = place(&raw.data_dir, &raw.handlers)
    {
        let message = "`host.data_dir` and `host.handlers` lie within one another";
        problems.error(
            place,
            "host.data_dir",
            message,
            "use two folders side by side".to_owned(),
        );
    }
}

/// A path without `.` and with `x/..` taken out.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

/// A single word must be a level: as a directive, a misspelt one would be the name of a target.
fn check_log(log: &Given<String>, problems: &mut Problems<'_>) {
    const KEY: &str = "host.log";
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let Some(log) = log else { return };
    let text = log.get_ref();
    if !text.contains(['=', ',', '[']) {
        if !LEVELS.contains(&text.as_str()) {
            let cure = spelling::did_you_mean(text, LEVELS)
                .unwrap_or_else(|| format!("levels are {}", LEVELS.join(", ")));
            problems.error(log.span(), KEY, format!("`{KEY}` is not a level"), cure);
        }
    } else if let Err(error) = tracing_subscriber::EnvFilter::try_new(text) {
        let cure = "write directives such as \"info,gristmill=debug\"";
        problems.error(
            log.span(),
            KEY,
            format!("`{KEY}`: {error}"),
            cure.to_owned(),
        );
    }
}

/// What is said of more at once than the host runs, and the cure.
pub fn beyond_host(key: &str, host: &HostConfig) -> String {
    let most = host.max_in_flight;
    format!("`{key}` cannot be reached: the whole host runs {most} at once")
}

/// The cure of [`beyond_host`].
pub const LESS: &str = "raise `host.max_in_flight`, or lower this";

/// The largest body that a queue takes. Who says only how much it may hold means no body that would never fit.
fn max_body(raw: &RawQueue) -> u64 {
    let default = defaults::MAX_MESSAGE_SIZE.default;
    let fits = value(&raw.max_bytes).map_or(default, |most| most.min(default));
    value(&raw.max_message_size).unwrap_or(fits).as_u64()
}

fn build_queue(
    name: &Spanned<String>,
    raw: &RawQueue,
    host: &HostConfig,
    modules: &mut Modules,
    problems: &mut Problems<'_>,
) -> QueueConfig {
    let key = |leaf: &str| format!("queue.{}.{leaf}", spelling::quoted(name.get_ref()));
    let policy = QueuePolicy {
        retry: build_retry(raw, &key, problems),
        concurrency: or_default(&raw.concurrency, &defaults::CONCURRENCY),
        pull: PullPolicy {
            // One with a handler is for that alone, also while it is not loaded.
            allowed: value(&raw.pull).or(raw.handler.as_ref().map(|_| false)),
            visibility: or_default(&raw.visibility_timeout, &defaults::VISIBILITY_TIMEOUT),
            max_in_flight: or_default(&raw.max_pulled, &defaults::MAX_PULLED),
        },
        rate: check_flow::rate(&raw.rate, &raw.burst),
        key: check_flow::key(raw, &key, problems),
        max_messages: value(&raw.max_messages),
        max_bytes: value(&raw.max_bytes).map(|size| size.as_u64()),
        max_body: max_body(raw),
        delay: or_default(&raw.delay, &defaults::DELAY),
        default_ttl: value(&raw.ttl),
        on_full: value(&raw.on_full).unwrap_or_default(),
        on_expiry: value(&raw.on_expiry).unwrap_or_default(),
        on_group_failure: value(&raw.on_group_failure).unwrap_or_default(),
        dedup: value(&raw.dedup).unwrap_or_default(),
        // Filled in when all queues are known.
        dead_letter: None,
        dedup_window: or_default(&raw.dedup_window, &defaults::DEDUP_WINDOW),
        dead_retention: value(&raw.dead_retention)
            .unwrap_or(Some(defaults::DEAD_RETENTION.default)),
    };
    if let Some(given) = &raw.concurrency
        && policy.concurrency > host.max_in_flight
    {
        let key = key("concurrency");
        let message = beyond_host(&key, host);
        problems.warning(given.span(), &key, message, LESS.to_owned());
    }
    if !problems.blame(&[key("max_bytes"), key("max_message_size")])
        && let Some(given) = &raw.max_bytes
        && given.get_ref().as_u64() < policy.max_body
    {
        let key = key("max_bytes");
        let size = bytesize::ByteSize::b(policy.max_body).show();
        let message = format!(
            "`{key}` is less than `max_message_size`, {size}: the largest message would never fit"
        );
        problems.error(
            given.span(),
            &key,
            message,
            "raise it, or lower `max_message_size`".to_owned(),
        );
    }
    let batch = check_batch::limits(raw, policy.concurrency, &key, problems);
    let handler = raw.handler.as_ref();
    let handler = handler.and_then(|file| modules.note(file, &key("handler"), problems));
    QueueConfig {
        policy,
        handler,
        batch,
        origin: problems.line_of(&name.span()),
    }
}

fn build_retry(
    raw: &RawQueue,
    key: &dyn Fn(&str) -> String,
    problems: &mut Problems<'_>,
) -> RetryPolicy {
    let RawBackoff {
        base,
        factor,
        cap,
        jitter,
    } = &raw.backoff;
    let retry = RetryPolicy {
        max_attempts: or_default(&raw.max_attempts, &defaults::MAX_ATTEMPTS),
        base: or_default(base, &defaults::BACKOFF_BASE),
        factor: or_default(factor, &defaults::BACKOFF_FACTOR),
        cap: or_default(cap, &defaults::BACKOFF_CAP),
        jitter: value(jitter).unwrap_or_default(),
        max_age: value(&raw.max_age),
    };
    if retry.cap < retry.base
        && !problems.blame(&["backoff", "backoff.base", "backoff.cap"].map(key))
        && let Some(place) = place(cap, base)
    {
        let key = key("backoff");
        let message = format!(
            "`{key}`: the cap, {}, is less than the base, {}",
            retry.cap.show(),
            retry.base.show()
        );
        problems.error(
            place,
            &key,
            message,
            "raise `cap`, or lower `base`".to_owned(),
        );
    }
    retry
}
