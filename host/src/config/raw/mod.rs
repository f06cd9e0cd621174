//! What was typed: the file's tables, each value with its place, nothing filled in.
//!
//! Knows which key belongs where and what type and bounds it has. Does not know what one value
//! means for another (that is [`check`](super::check)) nor what holds where nothing was typed.

mod api;
mod cron;
mod handler;
mod queue;
mod sqs;
mod tls;
mod topic;

use std::time::Duration;

use bytesize::ByteSize;
use gristmill_store::DiskReserve;
use toml::Spanned;
use toml::de::DeTable;

pub use api::RawApi;
pub use cron::RawCron;
pub use handler::RawHandler;
pub use queue::{RawBackoff, RawQueue};
pub use sqs::RawSqs;
pub use tls::RawTls;
pub use topic::{RawTopic, filter_key};

use super::keys::{self, Table};
use super::problem::Problems;
use super::section::{Given, Section};
use super::{Confine, Watch, defaults};

/// The whole file.
#[derive(Default)]
pub struct RawConfig {
    pub host: RawHost,
    pub api: RawApi,
    pub queue_defaults: RawQueue,
    pub handler_defaults: RawHandler,
    pub queues: Vec<(Spanned<String>, RawQueue)>,
    pub handlers: Vec<(Spanned<String>, RawHandler)>,
    pub topics: Vec<(Spanned<String>, RawTopic)>,
    pub cron: Vec<(Spanned<String>, RawCron)>,
    pub sqs: RawSqs,
}

impl RawConfig {
    /// Reads the file's tables.
    pub fn read(file: &DeTable<'_>, problems: &mut Problems<'_>) -> Self {
        let root = Section::root(file);
        let tables = [
            "host", "api", "defaults", "queue", "topic", "handler", "cron", "sqs",
        ];
        root.only(&tables, problems);
        let mut raw = RawConfig::default();
        if let Some(host) = root.table("host", problems) {
            raw.host = RawHost::read(&host, problems);
        }
        if let Some(sqs) = root.table("sqs", problems) {
            raw.sqs = RawSqs::read(&sqs, problems);
        }
        if let Some(api) = root.table("api", problems) {
            raw.api = RawApi::read(&api, problems);
        }
        if let Some(shared) = root.table("defaults", problems) {
            shared.only(&["queue", "handler"], problems);
            if let Some(queue) = shared.table("queue", problems) {
                refuse_own_keys(&queue, Table::Queue, problems);
                raw.queue_defaults = RawQueue::read(&queue, problems);
            }
            if let Some(handler) = shared.table("handler", problems) {
                refuse_own_keys(&handler, Table::Handler, problems);
                raw.handler_defaults = RawHandler::read(&handler, problems);
            }
        }
        if let Some(queues) = root.table("queue", problems) {
            for (name, queue) in queues.named_tables(problems) {
                raw.queues.push((name, RawQueue::read(&queue, problems)));
            }
        }
        if let Some(handlers) = root.table("handler", problems) {
            for (name, handler) in handlers.named_tables(problems) {
                raw.handlers
                    .push((name, RawHandler::read(&handler, problems)));
            }
        }
        if let Some(topics) = root.table("topic", problems) {
            for (name, topic) in topics.named_tables(problems) {
                raw.topics.push((name, RawTopic::read(&topic, problems)));
            }
        }
        if let Some(entries) = root.table("cron", problems) {
            for (name, entry) in entries.named_tables(problems) {
                let entry = RawCron::read(&name, &entry, problems);
                raw.cron.push((name, entry));
            }
        }
        raw
    }
}

/// Notes every key of the table that the reference does not know.
fn only_keys_of(
    table: Table,
    section: &Section<'_, '_>,
    more: &[&'static str],
    problems: &mut Problems<'_>,
) {
    let mut known: Vec<&'static str> = keys::of(table).map(|key| key.name).collect();
    known.extend(more);
    section.only(&known, problems);
}

/// Notes keys that one queue or handler can have, but not all of them together.
fn refuse_own_keys(section: &Section<'_, '_>, table: Table, problems: &mut Problems<'_>) {
    for key in keys::of(table).filter(|key| !key.shared) {
        if let Some(value) = section.raw(key.name) {
            let path = section.key(key.name);
            let cure = format!("write it as `{}`", key.path());
            problems.error(
                value.span(),
                &path,
                format!("`{path}` cannot be a default for all"),
                cure,
            );
        }
    }
}

/// `[host]`
#[derive(Default)]
pub struct RawHost {
    pub data_dir: Given<String>,
    pub handlers: Given<String>,
    pub threads: Given<u32>,
    pub max_in_flight: Given<u32>,
    pub shutdown_timeout: Given<Duration>,
    pub scan_interval: Given<Duration>,
    pub keep_versions: Given<u32>,
    pub inline_limit: Given<ByteSize>,
    pub max_wait: Given<Duration>,
    pub disk_reserve: Given<DiskReserve>,
    pub watch: Given<Watch>,
    pub log: Given<String>,
    pub sandbox: RawSandbox,
}

impl RawHost {
    fn read(host: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        only_keys_of(Table::Host, host, &["sandbox"], problems);
        let sandbox = host
            .table("sandbox", problems)
            .map(|table| RawSandbox::read(&table, problems));
        RawHost {
            data_dir: host.text("data_dir", problems),
            handlers: host.text("handlers", problems),
            threads: host.integer("threads", &defaults::THREADS, problems),
            max_in_flight: host.integer("max_in_flight", &defaults::MAX_IN_FLIGHT.bounds, problems),
            shutdown_timeout: host.duration(
                "shutdown_timeout",
                &defaults::SHUTDOWN_TIMEOUT.bounds,
                problems,
            ),
            scan_interval: host.duration(
                "scan_interval",
                &defaults::SCAN_INTERVAL.bounds,
                problems,
            ),
            keep_versions: host.integer("keep_versions", &defaults::KEEP_VERSIONS.bounds, problems),
            inline_limit: host.size("inline_limit", &defaults::INLINE_LIMIT.bounds, problems),
            max_wait: host.duration("max_wait", &defaults::MAX_WAIT.bounds, problems),
            disk_reserve: read_disk_reserve(host, problems),
            watch: host.choice("watch", &Watch::WORDS, problems),
            log: host.text("log", problems),
            sandbox: sandbox.unwrap_or_default(),
        }
    }
}

/// `disk_reserve`: a size, or left to the host.
fn read_disk_reserve(host: &Section<'_, '_>, problems: &mut Problems<'_>) -> Given<DiskReserve> {
    const NAME: &str = "disk_reserve";
    let typed = host.raw(NAME)?;
    if typed.get_ref().as_str() == Some("auto") {
        return Some(Spanned::new(typed.span(), DiskReserve::Auto));
    }
    let size = host.size(NAME, &defaults::DISK_RESERVE, problems)?;
    let bytes = DiskReserve::Bytes(size.get_ref().as_u64());
    Some(Spanned::new(size.span(), bytes))
}

/// `[host.sandbox]`
#[derive(Default)]
pub struct RawSandbox {
    pub pagemap_scan: Given<bool>,
    pub compile_cpu: Given<Duration>,
    pub compile_memory: Given<ByteSize>,
    pub max_module_size: Given<ByteSize>,
    pub confine: Given<Confine>,
    pub readable: Given<Vec<Spanned<String>>>,
}

impl RawSandbox {
    fn read(sandbox: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        only_keys_of(Table::Sandbox, sandbox, &[], problems);
        RawSandbox {
            pagemap_scan: sandbox.flag("pagemap_scan", problems),
            compile_cpu: sandbox.duration("compile_cpu", &defaults::COMPILE_CPU.bounds, problems),
            compile_memory: sandbox.size(
                "compile_memory",
                &defaults::COMPILE_MEMORY.bounds,
                problems,
            ),
            max_module_size: sandbox.size(
                "max_module_size",
                &defaults::MAX_MODULE_SIZE.bounds,
                problems,
            ),
            confine: sandbox.choice("confine", &Confine::WORDS, problems),
            readable: sandbox.list("readable", problems),
        }
    }
}
