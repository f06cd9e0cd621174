//! What changes from one configuration to the next.
//!
//! The reload room applies a change whole or not at all; what takes effect only when the host
//! starts is named here, so that it is reported and not ignored.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gristmill_queue::QueueName;

use super::keys::{self, Table};
use super::{ApiConfig, Config, HostConfig, SandboxConfig};
use crate::net::TlsFiles;

/// What changes from one configuration to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigChange {
    /// Keys that take effect only when the host starts, such as `host.data_dir`.
    pub needs_restart: Vec<String>,
    /// Keys of the host that take effect at once.
    pub host: Vec<String>,
    /// Queues that are new.
    pub queues_added: Vec<QueueName>,
    /// Queues that are no longer declared. Their messages stay.
    pub queues_removed: Vec<QueueName>,
    /// Queues with another policy or another handler.
    pub queues_changed: Vec<QueueName>,
    /// Topics that are new.
    pub topics_added: Vec<QueueName>,
    /// Topics that are no longer declared.
    pub topics_removed: Vec<QueueName>,
    /// Topics with other subscriptions or another rule.
    pub topics_changed: Vec<QueueName>,
    /// Handlers that are new.
    pub handlers_added: Vec<String>,
    /// Handlers that are no longer named.
    pub handlers_removed: Vec<String>,
    /// Handlers with other grants, limits or secrets, or another file.
    pub handlers_changed: Vec<String>,
    /// Crontab entries that are new.
    pub cron_added: Vec<String>,
    /// Crontab entries that are gone.
    pub cron_removed: Vec<String>,
    /// Crontab entries with another schedule, message or rule.
    pub cron_changed: Vec<String>,
}

impl ConfigChange {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == ConfigChange::default()
    }
}

/// What changes from `old` to `new`. Places in the file and warnings make no difference.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> ConfigChange {
    let (mut needs_restart, host): (Vec<String>, _) = changed_host_keys(&old.host, &new.host)
        .into_iter()
        .chain(changed_api_keys(&old.api, &new.api))
        .partition(|key| needs_restart(key));
    if old.sqs != new.sqs {
        needs_restart.push("sqs".to_owned());
    }
    let (queues_added, queues_removed, queues_changed) = compare(&old.queues, &new.queues);
    let (topics_added, topics_removed, topics_changed) = compare(&old.topics, &new.topics);
    let (handlers_added, handlers_removed, handlers_changed) =
        compare(&old.handlers, &new.handlers);
    let (cron_added, cron_removed, cron_changed) = compare(&old.cron, &new.cron);
    ConfigChange {
        needs_restart,
        host,
        queues_added,
        queues_removed,
        queues_changed,
        topics_added,
        topics_removed,
        topics_changed,
        handlers_added,
        handlers_removed,
        handlers_changed,
        cron_added,
        cron_removed,
        cron_changed,
    }
}

/// Names that are only in `new`, only in `old`, and in both with different values.
fn compare<K: Ord + Clone, V: PartialEq>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) -> (Vec<K>, Vec<K>, Vec<K>) {
    let names = |from: &BTreeMap<K, V>, keep: &dyn Fn(&K, &V) -> bool| -> Vec<K> {
        let kept = from.iter().filter(|(name, value)| keep(name, value));
        kept.map(|(name, _)| name.clone()).collect()
    };
    (
        names(new, &|name, _| !old.contains_key(name)),
        names(old, &|name, _| !new.contains_key(name)),
        names(new, &|name, value| {
            old.get(name).is_some_and(|was| was != value)
        }),
    )
}

fn needs_restart(key: &str) -> bool {
    keys::of(Table::Host)
        .chain(keys::of(Table::Sandbox))
        .chain(keys::of(Table::Api))
        .any(|known| known.restart && known.path() == key)
}

/// Every key of the host, taken apart so that a new one cannot be forgotten.
fn changed_host_keys(old: &HostConfig, new: &HostConfig) -> Vec<String> {
    let HostConfig {
        data_dir,
        handlers,
        threads,
        max_in_flight,
        shutdown_timeout,
        scan_interval,
        keep_versions,
        inline_limit,
        max_wait,
        disk_reserve,
        watch,
        log,
        sandbox,
    } = old;
    let SandboxConfig {
        pagemap_scan,
        compile_cpu,
        compile_memory,
        max_module_size,
        confine,
        readable,
    } = sandbox;
    let changed = [
        ("host.data_dir", *data_dir != new.data_dir),
        ("host.handlers", *handlers != new.handlers),
        ("host.threads", *threads != new.threads),
        ("host.max_in_flight", *max_in_flight != new.max_in_flight),
        (
            "host.shutdown_timeout",
            *shutdown_timeout != new.shutdown_timeout,
        ),
        ("host.scan_interval", *scan_interval != new.scan_interval),
        ("host.keep_versions", *keep_versions != new.keep_versions),
        ("host.inline_limit", *inline_limit != new.inline_limit),
        ("host.max_wait", *max_wait != new.max_wait),
        ("host.disk_reserve", *disk_reserve != new.disk_reserve),
        ("host.watch", *watch != new.watch),
        ("host.log", *log != new.log),
        (
            "host.sandbox.pagemap_scan",
            *pagemap_scan != new.sandbox.pagemap_scan,
        ),
        (
            "host.sandbox.compile_cpu",
            *compile_cpu != new.sandbox.compile_cpu,
        ),
        (
            "host.sandbox.compile_memory",
            *compile_memory != new.sandbox.compile_memory,
        ),
        (
            "host.sandbox.max_module_size",
            *max_module_size != new.sandbox.max_module_size,
        ),
        ("host.sandbox.confine", *confine != new.sandbox.confine),
        ("host.sandbox.readable", *readable != new.sandbox.readable),
    ];
    changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| key.to_owned())
        .collect()
}

/// Every key of the API on the network, taken apart so that a new one cannot be forgotten.
fn changed_api_keys(old: &ApiConfig, new: &ApiConfig) -> Vec<String> {
    let ApiConfig {
        listen,
        auth,
        tls,
        max_connections,
        rate,
        rate_per_client,
    } = old;
    let file = |tls: &Option<TlsFiles>, which: fn(&TlsFiles) -> Option<PathBuf>| {
        tls.as_ref().and_then(which)
    };
    let files = |which| file(tls, which) != file(&new.tls, which);
    let changed = [
        ("api.listen", *listen != new.listen),
        ("api.auth", *auth != new.auth),
        ("api.tls_cert", files(|tls| Some(tls.cert.clone()))),
        ("api.tls_key", files(|tls| Some(tls.key.clone()))),
        ("api.client_ca", files(|tls| tls.client_ca.clone())),
        (
            "api.max_connections",
            *max_connections != new.max_connections,
        ),
        ("api.rate", *rate != new.rate),
        (
            "api.rate_per_client",
            *rate_per_client != new.rate_per_client,
        ),
    ];
    changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| key.to_owned())
        .collect()
}
