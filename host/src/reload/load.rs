//! From a file to the version that serves: read → known? → load → swap.
//!
//! Loading runs on a thread of its own: it may take many seconds, and neither the guests' threads
//! nor those that answer may wait for it. When it is done, the version is put into service unless
//! what it was loaded for has changed meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::disk::{self, Whole};
use super::handlers::{Handlers, waits};
use super::hex;
use super::progress::Loading;
use super::scan::{Hash, Outcome, Verdict};
use super::table::{Kept, file_name};
use crate::api::HandlerStatus;
use crate::runtime::spec::HandlerSpec;
use crate::runtime::{HandlerVersion, LoadError};

/// Characters of a hash that are shown in the log.
const SHOWN_HASH: usize = 8;

/// What a module is loaded for.
pub(super) struct Ticket {
    name: String,
    spec: Arc<HandlerSpec>,
    generation: u64,
    limit: u64,
}

/// A module that was read.
struct Module {
    bytes: Vec<u8>,
    hash: Hash,
}

/// What became of a load.
enum Installed {
    Serves,
    Refused(LoadError),
    Overtaken,
    Failed(String),
}

/// Why an earlier version does not serve.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// There is no such handler.
    #[error("there is no handler {0:?}: `gristmill handlers` lists them")]
    UnknownHandler(String),
    /// No kept version has this hash.
    #[error("{handler} has no earlier version {hash:?}; there are: {kept}")]
    UnknownVersion {
        /// The handler.
        handler: String,
        /// What was asked for.
        hash: String,
        /// The hashes that there are.
        kept: String,
    },
    /// Its file was removed, which is how one stops a handler.
    #[error("{0} is missing, so its queues wait: put it back first")]
    Missing(String),
    /// It cannot be loaded under the configuration of now.
    #[error("{0}")]
    Refused(String),
}

impl Handlers {
    /// Reads the module of a handler and, unless its content is `known`, loads it.
    pub(super) async fn try_file(&self, name: &str, known: Option<Hash>) -> Outcome {
        match self.ticket(name) {
            Some(ticket) => self.try_ticket(ticket, known).await,
            None => Outcome::Overtaken,
        }
    }

    pub(super) async fn try_ticket(&self, ticket: Ticket, known: Option<Hash>) -> Outcome {
        let (path, limit) = (ticket.spec.path.clone(), ticket.limit);
        match on_thread(move || disk::read(&path, limit)).await {
            Ok(Whole::Read { bytes, hash, young }) => {
                if known == Some(hash) {
                    let verdict = Verdict::Same;
                    return Outcome::Judged {
                        hash,
                        verdict,
                        young,
                    };
                }
                self.try_module(ticket, Module { bytes, hash }, young).await
            }
            Ok(Whole::Moving) => Outcome::Moving,
            Ok(Whole::TooLarge(size)) => {
                Outcome::TooLarge(disk::too_large(&file_name(&ticket.spec), size, limit))
            }
            Ok(Whole::Failed(problem)) | Err(problem) => {
                let file = file_name(&ticket.spec);
                Outcome::Unreadable(format!("{file} cannot be read: {problem}"))
            }
        }
    }

    async fn try_module(&self, ticket: Ticket, module: Module, young: bool) -> Outcome {
        let hash = module.hash;
        let verdict = match self.install(ticket, module).await {
            Installed::Serves => Verdict::Good,
            Installed::Refused(error) if may_be_cut_off(&error) => {
                Verdict::MaybeCut(error.to_string())
            }
            Installed::Refused(error) => Verdict::Bad(error.to_string()),
            Installed::Overtaken => return Outcome::Overtaken,
            Installed::Failed(problem) => return Outcome::Unreadable(problem),
        };
        Outcome::Judged {
            hash,
            verdict,
            young,
        }
    }

    pub(super) fn ticket(&self, name: &str) -> Option<Ticket> {
        let table = self.table();
        let limit = table.config.as_ref()?.host.sandbox.max_module_size;
        let entry = table.entries.get(name)?;
        Some(Ticket {
            name: name.to_owned(),
            spec: Arc::clone(&entry.spec),
            generation: entry.generation,
            limit,
        })
    }

    /// Whether what a ticket was written for still holds. A refusal under a spec of before says
    /// nothing about the one of now.
    fn is_valid(&self, ticket: &Ticket) -> bool {
        let table = self.table();
        let entry = table.entries.get(&ticket.name);
        entry.is_some_and(|entry| entry.generation == ticket.generation)
    }

    /// Loads a module and puts it into service.
    async fn install(&self, ticket: Ticket, module: Module) -> Installed {
        let hash = hex(&module.hash);
        let at_hand = self.table().entries.get(&ticket.name).and_then(|entry| {
            let version = entry.loaded(&hash)?;
            (*version.spec() == *ticket.spec).then_some(version)
        });
        let (bytes, version) = match at_hand {
            Some(version) => (module.bytes, version),
            None => {
                let (runtime, spec) = (self.inner.runtime.clone(), Arc::clone(&ticket.spec));
                let load = move || {
                    let loaded = runtime.load(&spec, &module.bytes);
                    (module.bytes, loaded)
                };
                let loading = Loading::begin(self, &ticket.spec);
                match loading.wait(on_thread(load)).await {
                    Ok((bytes, Ok(version))) => (bytes, version),
                    Ok((_, Err(_))) if !self.is_valid(&ticket) => return Installed::Overtaken,
                    Ok((_, Err(error))) => return Installed::Refused(error),
                    Err(problem) => return Installed::Failed(problem),
                }
            }
        };
        self.serve(&ticket, version, Some(bytes)).await
    }

    /// Puts a version into service, unless what it was loaded for has changed meanwhile. Keeps a
    /// copy of its module, if it is given.
    async fn serve(
        &self,
        ticket: &Ticket,
        version: Arc<HandlerVersion>,
        module: Option<Vec<u8>>,
    ) -> Installed {
        let _changing = self.inner.changing.lock().await;
        if let (Some(module), Some(keep)) = (module, self.keep()) {
            let hash = version.hash().to_owned();
            let kept = on_thread(move || keep.put(&hash, &module).map_err(|e| e.to_string())).await;
            if let Ok(Err(problem)) | Err(problem) = kept {
                let file = file_name(&ticket.spec);
                tracing::warn!("no copy of {file} could be kept for later: {problem}");
            }
        }
        {
            let mut table = self.table();
            let keep = table.keep_versions();
            let entry = table.entries.get_mut(&ticket.name);
            let Some(entry) = entry.filter(|entry| entry.generation == ticket.generation) else {
                return Installed::Overtaken;
            };
            entry.slot.serve(Arc::clone(&version), &self.inner.queues);
            log_serving(&ticket.spec, &version);
            let loaded_at = self.inner.queues.now();
            entry.replace(Some(Kept { version, loaded_at }), keep);
            entry.status = HandlerStatus::Serving;
            entry.problem = None;
        }
        self.change_lines().await;
        self.notify();
        Installed::Serves
    }

    /// Takes note that a handler's newest file cannot serve. What serves goes on.
    pub(super) fn refused(&self, name: &str, problem: String) {
        {
            let mut table = self.table();
            let waiting = table.queues_of(name);
            let Some(entry) = table.entries.get_mut(name) else {
                return;
            };
            let file = file_name(&entry.spec);
            if let Some(serving) = &entry.serving {
                let hash = short(serving.version.hash());
                tracing::warn!(
                    "{file}: version {hash} serves on, the new one is refused: {problem}"
                );
            } else {
                entry.status = HandlerStatus::Refused;
                tracing::warn!("{file}: refused, {}: {problem}", waits(&waiting));
            }
            entry.problem = Some(problem);
        }
        self.notify();
    }

    /// Takes note that the module of a handler is gone: its queues wait.
    pub(super) async fn gone(&self, name: &str) {
        let _changing = self.inner.changing.lock().await;
        let slot = {
            let mut table = self.table();
            let (keep, waiting) = (table.keep_versions(), table.queues_of(name));
            let generation = table.next_generation();
            let Some(entry) = table.entries.get_mut(name) else {
                return;
            };
            entry.generation = generation;
            let (file, waiting) = (file_name(&entry.spec), waits(&waiting));
            let folder = entry.spec.path.parent().map(PathBuf::from);
            let folder = folder.unwrap_or_default();
            if entry.serving.is_some() {
                tracing::warn!("{file} was removed: {waiting}");
            } else {
                tracing::warn!("{file} is missing: {waiting}");
            }
            entry.status = HandlerStatus::Missing;
            entry.problem = Some(format!(
                "{file} is missing: put it into {}",
                folder.display()
            ));
            entry.replace(None, keep);
            Arc::clone(&entry.slot)
        };
        // First no more is leased, then there is nothing to run it: so nothing is handed back that
        // was not under way.
        self.change_lines().await;
        slot.clear();
        self.notify();
    }

    /// Serves an earlier version again, until the file changes the next time. `hash` may be the
    /// beginning of one.
    ///
    /// # Errors
    /// When there is no such version, or the configuration of now does not allow it.
    pub async fn rollback(&self, name: &str, hash: &str) -> Result<(), RollbackError> {
        let ticket = self.ticket(name);
        let ticket = ticket.ok_or_else(|| RollbackError::UnknownHandler(name.to_owned()))?;
        let found = self.earlier(&ticket, hash)?;
        let version = if *found.spec() == *ticket.spec {
            found
        } else {
            let keep = self
                .keep()
                .ok_or_else(|| RollbackError::UnknownHandler(name.to_owned()))?;
            let spec = Arc::clone(&ticket.spec);
            let loaded = self.load_kept(&keep, spec, found.hash().to_owned()).await;
            loaded.map_err(RollbackError::Refused)?
        };
        match self.serve(&ticket, version, None).await {
            Installed::Serves => Ok(()),
            Installed::Refused(error) => Err(RollbackError::Refused(error.to_string())),
            Installed::Failed(problem) => Err(RollbackError::Refused(problem)),
            Installed::Overtaken => Err(RollbackError::Refused(format!(
                "{name} was changed at the same time: look at it and try again"
            ))),
        }
    }

    fn earlier(&self, ticket: &Ticket, hash: &str) -> Result<Arc<HandlerVersion>, RollbackError> {
        let table = self.table();
        let name = &ticket.name;
        let entry = table.entries.get(name);
        let entry = entry.ok_or_else(|| RollbackError::UnknownHandler(name.clone()))?;
        if entry.status == HandlerStatus::Missing {
            return Err(RollbackError::Missing(file_name(&ticket.spec)));
        }
        let hashes = || entry.earlier.iter().map(|kept| kept.version.hash());
        let mut fit = entry
            .earlier
            .iter()
            .filter(|kept| !hash.is_empty() && kept.version.hash().starts_with(hash));
        match (fit.next(), fit.next()) {
            (Some(kept), None) => Ok(Arc::clone(&kept.version)),
            _ => Err(RollbackError::UnknownVersion {
                handler: name.clone(),
                hash: hash.to_owned(),
                kept: match hashes().collect::<Vec<_>>() {
                    none if none.is_empty() => "none".to_owned(),
                    some => some.join(", "),
                },
            }),
        }
    }

    /// Frees what earlier versions hold: deliveries that ended late have kept their instances warm,
    /// and copies of modules are no longer needed.
    pub(super) async fn tidy(&self) {
        let _changing = self.inner.changing.lock().await;
        let hashes = {
            let table = self.table();
            table
                .entries
                .values()
                .for_each(|entry| entry.discard_warm());
            table.hashes()
        };
        if let Some(keep) = self.keep()
            && let Ok(Err(error)) = on_thread(move || keep.retain(&hashes)).await
        {
            tracing::warn!("old copies of modules cannot be removed: {error}");
        }
    }
}

/// Whether the rest of the file may still be on its way. A component that is cut off can be valid
/// up to there, and then lacks its exports, which come last.
fn may_be_cut_off(error: &LoadError) -> bool {
    match error {
        LoadError::OtherHash { .. }
        | LoadError::NotWasm { .. }
        | LoadError::Invalid { .. }
        | LoadError::NoHandler { .. }
        | LoadError::NoBatchHandler { .. } => true,
        LoadError::TooLarge { .. }
        | LoadError::CoreModule { .. }
        | LoadError::SeveralForms { .. }
        | LoadError::OtherForm { .. }
        | LoadError::OtherVersion { .. }
        | LoadError::Interface { .. }
        | LoadError::Script { .. }
        | LoadError::Compile { .. }
        | LoadError::Ungranted { .. }
        | LoadError::Mismatch { .. }
        | LoadError::Resources { .. }
        | LoadError::Guarantee { .. }
        | LoadError::Trial { .. } => false,
    }
}

fn log_serving(spec: &HandlerSpec, version: &HandlerVersion) {
    let (file, hash) = (file_name(spec), short(version.hash()));
    match version.compile_time() {
        Some(time) => {
            let ms = time.as_millis();
            tracing::info!("{file}: version {hash} serves (compiled in {ms} ms)");
        }
        None => tracing::info!("{file}: version {hash} serves (compiled before)"),
    }
}

pub(super) fn short(hash: &str) -> String {
    format!("{}…", hash.get(..SHOWN_HASH).unwrap_or(hash))
}

/// Runs something that blocks on a thread of its own. It is not waited for when the host stops, as
/// a thread that the runtime lends would be.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (reply, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || {
            // Nobody waits for it when the host stops.
            let _ = reply.send(work());
        })
        .map_err(|error| format!("no thread is to be had: {error}"))?;
    answer
        .await
        .map_err(|_| "the host failed while it was at it; its log says more".to_owned())
}
