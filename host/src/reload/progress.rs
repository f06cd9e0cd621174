//! A load that takes long: who asks sees it, and the log says so now and then.
//!
//! Compiling a large module takes many seconds. What served before serves on meanwhile, and whoever
//! waits for the new version should see that it is coming.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handlers::{Handlers, waits};
use super::load::short;
use super::table::file_name;
use crate::runtime::spec::HandlerSpec;

/// When the log says for the first time that a load takes long. The time until the next word doubles.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// The most time between two words.
const NEXT_WORD: Duration = Duration::from_secs(16);

/// A handler whose file is being compiled and checked, until it is dropped.
pub(super) struct Loading {
    handlers: Handlers,
    spec: Arc<HandlerSpec>,
    began: Instant,
}

impl Loading {
    pub(super) fn begin(handlers: &Handlers, spec: &Arc<HandlerSpec>) -> Self {
        let loading = Loading {
            handlers: handlers.clone(),
            spec: Arc::clone(spec),
            began: Instant::now(),
        };
        loading.note(Some(loading.began));
        loading
    }

    /// Waits for the load, and says in the log that it goes on.
    pub(super) async fn wait<T>(&self, load: impl Future<Output = T>) -> T {
        let mut load = std::pin::pin!(load);
        let mut wait = FIRST_WORD;
        loop {
            tokio::select! {
                done = &mut load => return done,
                () = tokio::time::sleep(wait) => self.say(),
            }
            wait = (wait * 2).min(NEXT_WORD);
        }
    }

    fn say(&self) {
        let table = self.handlers.table();
        let entry = table.entries.get(&self.spec.name);
        let serving = entry.and_then(|entry| entry.serving.as_ref());
        let meanwhile = match serving {
            Some(kept) => format!("version {} serves meanwhile", short(kept.version.hash())),
            None => waits(&table.queues_of(&self.spec.name)),
        };
        let (file, seconds) = (file_name(&self.spec), self.began.elapsed().as_secs());
        tracing::info!("{file}: compiling, {seconds} s so far; {meanwhile}");
    }

    fn note(&self, began: Option<Instant>) {
        if let Some(entry) = self.handlers.table().entries.get_mut(&self.spec.name) {
            entry.loading = began;
        }
        self.handlers.notify();
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.note(None);
    }
}
