//! The registry of handlers: what serves which queue.
//!
//! All changes go one after the other, under one lock; reading never waits for a change. Loading
//! happens before the lock is taken where it can, and a version that was loaded under what no
//! longer holds is thrown away.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gristmill_queue::QueueName;
use tokio::sync::watch;

use super::ReloadError;
use super::declare::{declarations, topic_declarations};
use super::keep::Keep;
use super::load::on_thread;
use super::table::{Kept, Table, file_name};
use crate::api::{HandlerStatus, HandlerView, VersionView};
use crate::config::Config;
use crate::dispatch::{Dispatcher, HandlerSlot};
use crate::queues::Queues;
use crate::runtime::spec::HandlerSpec;
use crate::runtime::{HandlerVersion, Runtime};

/// The folder for copies of modules, in the data folder.
const KEEP: &str = "modules";

/// All handlers of a host. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Handlers {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub queues: Queues,
    pub dispatcher: Dispatcher,
    pub runtime: Runtime,
    /// Held by whoever changes something.
    pub changing: tokio::sync::Mutex<()>,
    table: Mutex<Table>,
    changes: watch::Sender<u64>,
}

/// What is to be looked at again after a configuration was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Handlers that are described differently from before.
    pub changed: Vec<String>,
}

impl Handlers {
    /// No handlers yet.
    #[must_use]
    pub fn new(queues: Queues, dispatcher: Dispatcher, runtime: Runtime) -> Self {
        Handlers {
            inner: Arc::new(Inner {
                queues,
                dispatcher,
                runtime,
                changing: tokio::sync::Mutex::default(),
                table: Mutex::default(),
                changes: watch::channel(0).0,
            }),
        }
    }

    /// Applies a configuration as a whole: declares its queues and topics, opens and closes lines, and loads
    /// serving modules again that it describes differently. Modules that do not serve are not
    /// loaded here, since that is for whoever watches the files; they may be worth another look.
    ///
    /// A version that the configuration no longer allows is taken out of service; the module's
    /// header says why.
    ///
    /// # Errors
    /// When the store closed meanwhile; then nothing was changed.
    pub async fn apply(&self, config: &Config) -> Result<Applied, ReloadError> {
        let _changing = self.inner.changing.lock().await;
        let keep = Keep::new(config.host.data_dir.join(KEEP));
        let mut loaded = BTreeMap::new();
        let again = self.table().to_reload(config);
        for (spec, hash) in again {
            let version = self.load_kept(&keep, Arc::clone(&spec), hash).await;
            loaded.insert(spec.name.clone(), version);
        }
        let topics = topic_declarations(config);
        let queues = declarations(config);
        self.inner.queues.declare(queues, topics).await?;
        let (changed, mut cleared) = self.table().take_over(config);
        for (name, result) in loaded {
            cleared.extend(self.change_version(&name, result));
        }
        self.change_lines().await;
        cleared.iter().for_each(|slot| slot.clear());
        self.notify();
        Ok(Applied { changed })
    }

    /// Puts a version that was loaded under a new spec into service, or takes note that there is
    /// none any more; then its slot is returned, to be cleared when no line leads there.
    fn change_version(
        &self,
        name: &str,
        result: Result<Arc<HandlerVersion>, String>,
    ) -> Option<Arc<HandlerSlot>> {
        let mut table = self.table();
        let (keep, waiting) = (table.keep_versions(), table.queues_of(name));
        let loaded_at = self.inner.queues.now();
        let entry = table.entries.get_mut(name)?;
        let file = file_name(&entry.spec);
        match result {
            Ok(version) => {
                entry.slot.serve(Arc::clone(&version), &self.inner.queues);
                let kept = Kept { version, loaded_at };
                entry.replace(Some(kept), keep);
                tracing::info!("{file}: serves under its new configuration");
                None
            }
            Err(problem) => {
                tracing::error!(
                    "{file}: refused under its new configuration, {}: {problem}",
                    waits(&waiting)
                );
                entry.status = HandlerStatus::Refused;
                entry.problem = Some(problem);
                entry.replace(None, keep);
                Some(Arc::clone(&entry.slot))
            }
        }
    }

    /// Loads the module with this hash again, from the copy or, if that is gone, from its place.
    pub(super) async fn load_kept(
        &self,
        keep: &Keep,
        spec: Arc<HandlerSpec>,
        hash: String,
    ) -> Result<Arc<HandlerVersion>, String> {
        let (keep, runtime) = (keep.clone(), self.inner.runtime.clone());
        let load = move || {
            let bytes = keep
                .get(&hash)
                .or_else(|_| super::keep::read_checked(&spec.path, &hash))
                .map_err(|_| {
                    let file = file_name(&spec);
                    format!("the copy of {file} that served is gone: put the file in place again")
                })?;
            runtime.load(&spec, &bytes).map_err(|e| e.to_string())
        };
        on_thread(load).await.unwrap_or_else(Err)
    }

    /// Opens and closes lines so that exactly the queues have one whose handler serves.
    pub(super) async fn change_lines(&self) {
        let changes = self.table().change_lines();
        for queue in &changes.close {
            self.inner.dispatcher.close(queue).await;
        }
        for (queue, slot, line) in &changes.open {
            self.inner
                .dispatcher
                .open(queue, slot, line.slots.clone(), &line.config);
        }
    }

    /// All handlers, by name.
    #[must_use]
    pub fn list(&self) -> Vec<HandlerView> {
        self.table().views()
    }

    /// The versions of a handler that can serve at once: the serving one first, if there is one,
    /// then earlier ones, the latest first.
    #[must_use]
    pub fn versions(&self, handler: &str) -> Vec<VersionView> {
        let table = self.table();
        let Some(entry) = table.entries.get(handler) else {
            return Vec::new();
        };
        let all = entry.serving.iter().chain(&entry.earlier);
        all.map(Kept::view).collect()
    }

    /// Why a queue that names a handler has none, in words; nothing if it has one.
    #[must_use]
    pub fn gate_reason(&self, queue: &QueueName) -> Option<String> {
        self.table().gate_reason(queue)
    }

    /// The configuration in force: what was applied last.
    #[must_use]
    pub fn config(&self) -> Option<Arc<Config>> {
        self.table().config.clone()
    }

    /// Tells whenever [`Handlers::list`] may have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    pub(super) fn notify(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.inner
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self) -> Option<Keep> {
        let config = self.config()?;
        Some(Keep::new(config.host.data_dir.join(KEEP)))
    }

    /// The modules of all handlers.
    pub(super) fn paths(&self) -> BTreeMap<String, PathBuf> {
        let table = self.table();
        let path = |(name, entry): (&String, &super::table::Entry)| {
            (name.clone(), entry.spec.path.clone())
        };
        table.entries.iter().map(path).collect()
    }

    pub(super) fn serves(&self, name: &str) -> bool {
        let table = self.table();
        let entry = table.entries.get(name);
        entry.is_some_and(|entry| entry.serving.is_some())
    }
}

/// What becomes of queues without a handler, in words.
pub(super) fn waits(queues: &[String]) -> String {
    match queues {
        [] => "no queue waits for it".to_owned(),
        [one] => format!("queue {one} waits"),
        many => format!("queues {} wait", many.join(", ")),
    }
}
