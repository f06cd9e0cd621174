//! Reading the configuration again: as a whole or not at all.

use std::path::Path;

use super::disk::{self, Whole};
use super::handlers::{Applied, Handlers};
use super::load::on_thread;
use super::scan::{Hash, Outcome, Verdict};
use crate::config::{self, Config, ConfigChange, ConfigErrors, HostConfig, SandboxConfig, diff};

/// What became of reading the configuration again.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each reload, and none is kept"
)]
pub enum ConfigReload {
    /// It was applied. Nothing changed, if nothing in here has changed.
    Applied(ConfigChange),
    /// It has errors, so everything is as before.
    Kept(ConfigErrors),
    /// It could not be applied: the host is stopping, or the file cannot be read.
    Failed(String),
}

/// Reads the file and applies it. Says what is to be looked at again.
pub(super) async fn reload(handlers: &Handlers) -> (ConfigReload, Applied) {
    let nothing = Applied::default();
    let Some(old) = handlers.config() else {
        let problem = "the host has no configuration yet".to_owned();
        return (ConfigReload::Failed(problem), nothing);
    };
    let path = old.source.clone();
    let new = match on_thread(move || config::load(&path)).await {
        Ok(Ok(new)) => new,
        Ok(Err(errors)) => return (ConfigReload::Kept(errors), nothing),
        Err(problem) => return (ConfigReload::Failed(problem), nothing),
    };
    let change = diff(&old, &new);
    if change.is_empty() {
        return (ConfigReload::Applied(change), nothing);
    }
    for warning in &new.warnings {
        tracing::warn!("{}", warning.render(false));
    }
    if !change.needs_restart.is_empty() {
        let keys = change.needs_restart.join(", ");
        tracing::warn!("{keys}: takes effect when the host is started the next time");
    }
    match handlers
        .apply(&in_force(&old, new, &change.needs_restart))
        .await
    {
        Ok(applied) => (ConfigReload::Applied(change), applied),
        Err(error) => (ConfigReload::Failed(error.to_string()), nothing),
    }
}

/// Says what became of a reload.
pub(super) fn log(path: &Path, reload: &ConfigReload) {
    let path = path.display();
    match reload {
        ConfigReload::Applied(change) => log_change(change),
        ConfigReload::Kept(errors) => {
            let count = errors.problems.len() + errors.left_out;
            let problems = if count == 1 { "a problem" } else { "problems" };
            tracing::error!("{path} has {problems}; the old configuration stays:\n{errors}");
        }
        ConfigReload::Failed(problem) => {
            tracing::error!("{path} could not be applied; the old configuration stays: {problem}");
        }
    }
}

/// Reads the file because it changed, unless its content is `known`.
pub(super) async fn reload_changed(
    handlers: &Handlers,
    path: &Path,
    known: Option<Hash>,
) -> (Outcome, Applied) {
    let file = path.to_owned();
    let whole = on_thread(move || disk::read(&file, config::defaults::MAX_FILE)).await;
    let nothing = Applied::default();
    let (bytes, hash, young) = match whole {
        Ok(Whole::Read { bytes, hash, young }) => (bytes, hash, young),
        Ok(Whole::Moving) => return (Outcome::Moving, nothing),
        Ok(Whole::TooLarge(size)) => {
            let problem = format!("it has {size} bytes, which is too many");
            return (Outcome::TooLarge(problem), nothing);
        }
        Ok(Whole::Failed(problem)) | Err(problem) => {
            return (Outcome::Unreadable(problem), nothing);
        }
    };
    let (verdict, applied) = if known == Some(hash) {
        (Verdict::Same, nothing)
    } else if bytes.iter().all(u8::is_ascii_whitespace) {
        // It would be valid, and take every queue away.
        (Verdict::MaybeCut("it is empty".to_owned()), nothing)
    } else {
        let (reload, applied) = reload(handlers).await;
        log(path, &reload);
        // What is wrong has been said.
        (Verdict::Good, applied)
    };
    let judged = Outcome::Judged {
        hash,
        verdict,
        young,
    };
    (judged, applied)
}

/// The new configuration, with the old values where only a start brings new ones.
fn in_force(old: &Config, mut new: Config, needs_restart: &[String]) -> Config {
    let fixed = |key: &str| needs_restart.iter().any(|needs| needs == key);
    let (was, is) = (&old.host, &mut new.host);
    // Taken apart, so that a new key cannot be forgotten.
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
    } = is;
    let hold = |key: &str, set: &mut dyn FnMut()| {
        if fixed(key) {
            set();
        }
    };
    hold("host.data_dir", &mut || data_dir.clone_from(&was.data_dir));
    hold("host.handlers", &mut || handlers.clone_from(&was.handlers));
    hold("host.threads", &mut || *threads = was.threads);
    hold("host.max_in_flight", &mut || {
        *max_in_flight = was.max_in_flight
    });
    hold("host.shutdown_timeout", &mut || {
        *shutdown_timeout = was.shutdown_timeout
    });
    hold("host.scan_interval", &mut || {
        *scan_interval = was.scan_interval
    });
    hold("host.keep_versions", &mut || {
        *keep_versions = was.keep_versions
    });
    hold("host.inline_limit", &mut || {
        *inline_limit = was.inline_limit
    });
    hold("host.max_wait", &mut || *max_wait = was.max_wait);
    hold("host.disk_reserve", &mut || {
        *disk_reserve = was.disk_reserve
    });
    hold("host.watch", &mut || *watch = was.watch);
    hold("host.log", &mut || log.clone_from(&was.log));
    let SandboxConfig {
        pagemap_scan,
        compile_cpu,
        compile_memory,
        max_module_size,
        confine,
        readable,
    } = sandbox;
    let was_in = &was.sandbox;
    hold("host.sandbox.pagemap_scan", &mut || {
        *pagemap_scan = was_in.pagemap_scan
    });
    hold("host.sandbox.compile_cpu", &mut || {
        *compile_cpu = was_in.compile_cpu
    });
    hold("host.sandbox.compile_memory", &mut || {
        *compile_memory = was_in.compile_memory
    });
    hold("host.sandbox.max_module_size", &mut || {
        *max_module_size = was_in.max_module_size
    });
    hold("host.sandbox.confine", &mut || *confine = was_in.confine);
    hold("host.sandbox.readable", &mut || {
        readable.clone_from(&was_in.readable)
    });
    if fixed("sqs") {
        new.sqs.clone_from(&old.sqs);
    }
    if fixed("host.handlers") {
        for spec in new.handlers.values_mut() {
            if let Some(file) = spec.path.file_name() {
                spec.path = was.handlers.join(file);
            }
        }
    }
    new
}

fn log_change(change: &ConfigChange) {
    if change.is_empty() {
        return;
    }
    let queues = |names: &[gristmill_queue::QueueName]| -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    };
    let parts = [
        ("queues added", queues(&change.queues_added)),
        ("queues removed", queues(&change.queues_removed)),
        ("queues changed", queues(&change.queues_changed)),
        ("topics added", queues(&change.topics_added)),
        ("topics removed", queues(&change.topics_removed)),
        ("topics changed", queues(&change.topics_changed)),
        ("handlers added", change.handlers_added.clone()),
        ("handlers removed", change.handlers_removed.clone()),
        ("handlers changed", change.handlers_changed.clone()),
        ("cron entries added", change.cron_added.clone()),
        ("cron entries removed", change.cron_removed.clone()),
        ("cron entries changed", change.cron_changed.clone()),
        ("keys changed", change.host.clone()),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(what, names)| format!("; {what}: {}", names.join(", ")));
    let parts: String = parts.collect();
    tracing::info!("the new configuration is in force{parts}");
}
