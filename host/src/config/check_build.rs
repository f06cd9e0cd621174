//! What makes the module of a handler, for `gristmill dev`: a command, and what it is made from.
//!
//! A part of [`check`](super::check). The keys stand beside `handler`, which they are about; queues
//! that share one need say it once. Nothing here is run: the host never runs a command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::problem::{Place, Problems};
use super::raw::RawQueue;
use super::section::Given;
use super::{QueueConfig, spelling};

/// What is watched unless the file says otherwise.
const SOURCES: &str = "src";

/// How the module of a handler is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildConfig {
    /// The command, for a shell in the folder of the configuration.
    pub command: String,
    /// Files and folders that it is made from.
    pub watch: Vec<PathBuf>,
}

/// The builds of all handlers, by name.
pub type BuildConfigs = BTreeMap<String, BuildConfig>;

/// What was typed about a queue's build.
pub struct TypedBuild {
    queue: String,
    handler: String,
    place: Place,
    command: String,
    watch: Given<Vec<Spanned<String>>>,
}

impl TypedBuild {
    /// If the queue has one.
    pub fn of(name: &Spanned<String>, raw: &RawQueue, queue: &QueueConfig) -> Option<Self> {
        let command = raw.build.as_ref()?;
        Some(TypedBuild {
            queue: name.get_ref().clone(),
            handler: queue.handler.clone()?,
            place: command.span(),
            command: command.get_ref().clone(),
            watch: raw.watch.clone(),
        })
    }
}

/// One build for each handler. Paths start from `base`.
pub fn builds(typed: Vec<TypedBuild>, base: &Path, problems: &mut Problems<'_>) -> BuildConfigs {
    let mut builds: BTreeMap<String, (String, BuildConfig)> = BTreeMap::new();
    for TypedBuild {
        queue,
        handler,
        place,
        command,
        watch,
    } in typed
    {
        let key = |leaf: &str| format!("queue.{}.{leaf}", spelling::quoted(&queue));
        if command.trim().is_empty() {
            let message = format!("`{}` is empty", key("build"));
            let cure = "write the command that makes the module, or remove this".to_owned();
            problems.error(place, &key("build"), message, cure);
            continue;
        }
        let watch = watched(watch, base, &key("watch"), problems);
        let build = BuildConfig { command, watch };
        match builds.get(&handler) {
            Some((other, known)) if *known != build => {
                let message = format!(
                    "`{}`: [queue.{}] has the same handler and builds it in another way",
                    key("build"),
                    spelling::quoted(other)
                );
                let cure = "say it once, in either of them".to_owned();
                problems.error(place, &key("build"), message, cure);
            }
            Some(_) => {}
            None => drop(builds.insert(handler, (queue, build))),
        }
    }
    let builds = builds.into_iter();
    builds
        .map(|(handler, (_, build))| (handler, build))
        .collect()
}

fn watched(
    given: Given<Vec<Spanned<String>>>,
    base: &Path,
    key: &str,
    problems: &mut Problems<'_>,
) -> Vec<PathBuf> {
    let Some(given) = given else {
        return vec![base.join(SOURCES)];
    };
    let mut paths = Vec::new();
    for path in given.into_inner() {
        let text = path.get_ref();
        if text.is_empty() || text.contains('\0') {
            let message = format!("`{key}`: {text:?} is not a path");
            let cure = "name files and folders, such as \"src\"".to_owned();
            problems.error(path.span(), key, message, cure);
            continue;
        }
        paths.push(base.join(text));
    }
    paths
}
