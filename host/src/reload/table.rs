//! Which handlers there are, what serves, and which queues have a line: bookkeeping without I/O.
//!
//! A queue has a line exactly while its handler serves. What changes here is carried out by
//! `handlers`: this file only says what is to be opened and closed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use gristmill_queue::{QueueName, Timestamp};
use gristmill_store::{SharedSlots, Slots};

use crate::api::{BatchesView, HandlerStatus, HandlerView, VersionView};
use crate::config::Config;
use crate::dispatch::{HandlerSlot, LineSpec};
use crate::runtime::HandlerVersion;
use crate::runtime::spec::HandlerSpec;

/// A version that serves or has served.
#[derive(Clone)]
pub(super) struct Kept {
    pub version: Arc<HandlerVersion>,
    pub loaded_at: Timestamp,
}

/// A handler.
pub(super) struct Entry {
    pub spec: Arc<HandlerSpec>,
    pub slot: Arc<HandlerSlot>,
    /// Another one after whatever makes a load under way void: another spec, a module that is gone.
    /// No two handlers ever have the same.
    pub generation: u64,
    pub status: HandlerStatus,
    pub problem: Option<String>,
    /// Since when its newest file is being compiled and checked, if it is.
    pub loading: Option<Instant>,
    pub serving: Option<Kept>,
    /// The latest first.
    pub earlier: VecDeque<Kept>,
}

/// An open line: by what one sees that it has to be opened anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub handler: String,
    pub how: LineSpec,
}

/// What is to be done with lines.
pub(super) struct LineChanges {
    pub close: Vec<QueueName>,
    pub open: Vec<(QueueName, Arc<HandlerSlot>, Line)>,
}

/// All handlers.
#[derive(Default)]
pub(super) struct Table {
    pub config: Option<Arc<Config>>,
    pub entries: BTreeMap<String, Entry>,
    generations: u64,
    /// See [`Config::fingerprint`].
    fingerprints: BTreeMap<QueueName, Arc<str>>,
    lines: BTreeMap<QueueName, Line>,
}

impl Entry {
    fn new(spec: Arc<HandlerSpec>, generation: u64) -> Self {
        Entry {
            slot: Arc::new(HandlerSlot::new(&spec.name)),
            spec,
            generation,
            status: HandlerStatus::Loading,
            problem: None,
            loading: None,
            serving: None,
            earlier: VecDeque::new(),
        }
    }

    /// Takes note that `next` serves, or that nothing does. The version before is kept to go back
    /// to, without its warm instances.
    pub fn replace(&mut self, next: Option<Kept>, keep: usize) {
        let before = std::mem::replace(&mut self.serving, next);
        if let Some(before) = before {
            self.earlier.push_front(before);
        }
        let serving = self.serving.as_ref().map(|kept| kept.version.hash());
        let mut seen: BTreeSet<String> = serving.map(ToOwned::to_owned).into_iter().collect();
        self.earlier
            .retain(|kept| seen.insert(kept.version.hash().to_owned()));
        self.earlier.truncate(keep);
        self.discard_warm();
    }

    /// Frees what versions hold that do not serve.
    pub fn discard_warm(&self) {
        for kept in &self.earlier {
            kept.version.discard_warm_instances();
        }
    }

    /// A version of this content that was loaded under the spec of now.
    pub fn loaded(&self, hash: &str) -> Option<Arc<HandlerVersion>> {
        let kept = self.serving.iter().chain(&self.earlier);
        kept.map(|kept| &kept.version)
            .find(|version| version.hash() == hash && *version.spec() == *self.spec)
            .cloned()
    }

    fn file(&self) -> String {
        file_name(&self.spec)
    }

    /// What became of its batches, if a queue gives it some.
    fn batches(&self) -> Option<BatchesView> {
        let queues: Vec<String> = self.spec.batches.iter().map(ToString::to_string).collect();
        let (calls, messages) = self.slot.batches();
        (!queues.is_empty()).then_some(BatchesView {
            queues,
            calls,
            messages,
        })
    }

    /// Why it does not serve.
    fn reason(&self) -> Option<String> {
        let file = self.file();
        match self.status {
            HandlerStatus::Serving => None,
            HandlerStatus::Loading => Some(match self.loading.map(|began| began.elapsed()) {
                None => format!("{file} is being loaded"),
                Some(time) => {
                    let seconds = time.as_secs();
                    format!("{file} is being loaded: compiling, {seconds} s so far")
                }
            }),
            HandlerStatus::Missing | HandlerStatus::Refused => {
                Some(self.problem.clone().unwrap_or(file))
            }
        }
    }
}

/// The file of a handler, as people call it.
pub(super) fn file_name(spec: &HandlerSpec) -> String {
    spec.path.file_name().map_or_else(
        || format!("{}.wasm", spec.name),
        |name| name.to_string_lossy().into_owned(),
    )
}

impl Table {
    /// How many earlier versions are kept.
    pub fn keep_versions(&self) -> usize {
        self.config
            .as_ref()
            .map_or(0, |config| config.host.keep_versions as usize)
    }

    /// Handlers that serve, and that the new configuration describes differently, with the hash of
    /// what serves.
    pub fn to_reload(&self, config: &Config) -> Vec<(Arc<HandlerSpec>, String)> {
        let changed = config.handlers.iter().filter_map(|(name, spec)| {
            let entry = self
                .entries
                .get(name)
                .filter(|entry| *entry.spec != *spec)?;
            let serving = entry.serving.as_ref()?;
            Some((Arc::new(spec.clone()), serving.version.hash().to_owned()))
        });
        changed.collect()
    }

    /// Takes over the handlers of a configuration, and says which were described differently.
    /// Slots of handlers that are no more are returned, too, to be cleared when no line leads there.
    pub fn take_over(&mut self, config: &Config) -> (Vec<String>, Vec<Arc<HandlerSlot>>) {
        let mut before = std::mem::take(&mut self.entries);
        let mut changed = Vec::new();
        for (name, spec) in &config.handlers {
            let entry = match before.remove(name) {
                None => Entry::new(Arc::new(spec.clone()), self.next_generation()),
                Some(mut entry) => {
                    if *entry.spec != *spec {
                        entry.spec = Arc::new(spec.clone());
                        entry.generation = self.next_generation();
                        changed.push(name.clone());
                    }
                    entry
                }
            };
            self.entries.insert(name.clone(), entry);
        }
        let fingerprint = |name: &QueueName| Some((name.clone(), config.fingerprint(name)?.into()));
        self.fingerprints = config.queues.keys().filter_map(fingerprint).collect();
        self.config = Some(Arc::new(config.clone()));
        let removed = before.into_values().map(|entry| entry.slot).collect();
        (changed, removed)
    }

    /// A number that no handler has had.
    pub fn next_generation(&mut self) -> u64 {
        self.generations += 1;
        self.generations
    }

    /// The queues of a handler.
    pub fn queues_of(&self, handler: &str) -> Vec<String> {
        let Some(config) = &self.config else {
            return Vec::new();
        };
        let its = config
            .queues
            .iter()
            .filter(|(_, queue)| queue.handler.as_deref() == Some(handler));
        its.map(|(name, _)| name.to_string()).collect()
    }

    fn wanted_lines(&self) -> BTreeMap<QueueName, Line> {
        let Some(config) = &self.config else {
            return BTreeMap::new();
        };
        let line = |(name, queue): (&QueueName, &crate::config::QueueConfig)| {
            let handler = queue.handler.clone()?;
            let entry = self.entries.get(&handler)?;
            entry.serving.as_ref()?;
            let shared = entry.spec.limits.concurrency.map(|slots| SharedSlots {
                name: handler.as_str().into(),
                slots,
            });
            let line = Line {
                handler,
                how: LineSpec {
                    slots: Slots {
                        own: queue.policy.concurrency,
                        shared,
                    },
                    batch: queue.batch,
                    config: Arc::clone(self.fingerprints.get(name)?),
                },
            };
            Some((name.clone(), line))
        };
        config.queues.iter().filter_map(line).collect()
    }

    /// What is to be closed and opened so that the lines are what they should be; takes note of it
    /// as done.
    pub fn change_lines(&mut self) -> LineChanges {
        let wanted = self.wanted_lines();
        let close = self
            .lines
            .keys()
            .filter(|queue| !wanted.contains_key(*queue));
        let open = wanted.iter().filter_map(|(queue, line)| {
            let slot = &self.entries.get(&line.handler)?.slot;
            let new = self.lines.get(queue) != Some(line);
            new.then(|| (queue.clone(), Arc::clone(slot), line.clone()))
        });
        let changes = LineChanges {
            close: close.cloned().collect(),
            open: open.collect(),
        };
        self.lines = wanted;
        changes
    }

    /// The hashes of all versions.
    pub fn hashes(&self) -> BTreeSet<String> {
        let kept = self
            .entries
            .values()
            .flat_map(|entry| entry.serving.iter().chain(&entry.earlier));
        kept.map(|kept| kept.version.hash().to_owned()).collect()
    }

    /// The handlers as an operator sees them.
    pub fn views(&self) -> Vec<HandlerView> {
        let mut queues: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, queue) in self.config.iter().flat_map(|config| &config.queues) {
            if let Some(handler) = &queue.handler {
                queues.entry(handler).or_default().push(name.to_string());
            }
        }
        let mut queues_of = |handler: &str| queues.remove(handler).unwrap_or_default();
        let view = |(name, entry): (&String, &Entry)| HandlerView {
            name: name.clone(),
            file: entry.file(),
            queues: queues_of(name),
            status: entry.status,
            problem: entry.problem.clone(),
            version: entry.serving.as_ref().map(Kept::view),
            batches: entry.batches(),
            loading_ms: entry
                .loading
                .map(|began| u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)),
        };
        self.entries.iter().map(view).collect()
    }

    /// Why a queue has no line, unless it has one or is to have none.
    pub fn gate_reason(&self, queue: &QueueName) -> Option<String> {
        let handler = self.config.as_ref()?.queues.get(queue)?.handler.as_ref()?;
        self.entries.get(handler)?.reason()
    }
}

impl Kept {
    pub fn view(&self) -> VersionView {
        VersionView::of(&self.version, self.loaded_at)
    }
}
