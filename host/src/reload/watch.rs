//! What the system says about the folders. Only this file and `sources` name `notify`.
//!
//! Nothing is read off an event but "look again": editors, build tools and systems differ in what
//! they tell, and some events get lost. So hints are put together until somebody takes them, and
//! the worst that a missing one does is that a change is found by the next full scan.
//!
//! Three folders are watched, none with what is below it: that of the modules; the one it lies in,
//! because it may itself be replaced; and that of the configuration file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::disk;
use crate::config::Watch;

/// The most files that hints name; beyond, everything is looked at.
const MAX_NAMES: usize = 1000;

/// What to look at again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// Handlers whose module an event named. Such an event is a change even if the file looks as
    /// before.
    pub modules: BTreeSet<String>,
    /// The configuration file was named.
    pub config: bool,
    /// Something happened: everything is to be looked at.
    pub look: bool,
    /// The folder of modules is perhaps another one now, even if it has the number of the old one.
    pub replaced: bool,
}

/// The folders that are watched.
pub(super) struct Folders {
    watcher: Option<RecommendedWatcher>,
    /// Each folder, and which one it was when it was last watched.
    folders: BTreeMap<PathBuf, Option<(u64, u64)>>,
    warned: bool,
}

/// Where hints are put and taken.
#[derive(Default)]
pub(super) struct Mailbox {
    hints: Mutex<Hints>,
    filled: Notify,
}

impl Mailbox {
    /// Waits for hints.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    pub fn take(&self) -> Hints {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where things lie, as absolute paths.
#[derive(Clone)]
pub(super) struct Places {
    pub modules: PathBuf,
    pub config: PathBuf,
}

impl Folders {
    /// Watches the folders of these places, unless they are to be polled. What goes wrong is
    /// logged: then the folders are polled.
    pub fn watch(places: &Places, how: Watch, mailbox: &Arc<Mailbox>) -> Self {
        let mut folders = Folders {
            watcher: None,
            folders: BTreeMap::new(),
            warned: false,
        };
        if how == Watch::Poll {
            return folders;
        }
        let (routes, target) = (places.clone(), Arc::clone(mailbox));
        let listen = move |event: notify::Result<Event>| {
            if note(&routes, &event, &mut target.lock()) {
                target.filled.notify_one();
            }
        };
        match notify::recommended_watcher(listen) {
            Ok(watcher) => folders.watcher = Some(watcher),
            Err(error) => folders.warn(&places.modules, &error),
        }
        let parents = [places.modules.parent(), places.config.parent()];
        for folder in parents.into_iter().flatten().chain([&*places.modules]) {
            folders.folders.insert(folder.to_owned(), None);
        }
        folders.renew(false);
        folders
    }

    /// Watches folders that were replaced or have appeared. Says whether there were any: what
    /// happened in them before is not known.
    pub fn renew(&mut self, replaced: bool) -> bool {
        let mut renewed = false;
        if replaced {
            self.folders
                .values_mut()
                .for_each(|watched| *watched = None);
        }
        for folder in self.folders.keys().cloned().collect::<Vec<_>>() {
            let found = disk::identity(&folder);
            if self.folders.get(&folder) == Some(&found) {
                continue;
            }
            let watched = found.is_some() && self.add(&folder);
            self.folders.insert(folder, found.filter(|_| watched));
            renewed |= watched;
        }
        renewed
    }

    fn add(&mut self, folder: &Path) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        // It is an error if it is not watched, and it need not be.
        let _ = watcher.unwatch(folder);
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                self.warn(folder, &error);
                false
            }
        }
    }

    fn warn(&mut self, folder: &Path, error: &notify::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            let folder = folder.display();
            tracing::warn!("{folder} cannot be watched and is polled instead: {error}");
        }
    }

    /// Whether the system tells of changes in all folders that there are.
    pub fn are_watched(&self) -> bool {
        self.watcher.is_some() && !self.warned
    }
}

/// Puts what an event says to the hints, and says whether there is anything to do.
fn note(places: &Places, event: &notify::Result<Event>, hints: &mut Hints) -> bool {
    let Ok(event) = event else {
        hints.look = true;
        return true;
    };
    if event.need_rescan() || event.paths.is_empty() {
        hints.look = true;
        return true;
    }
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    // Reading the files is an event, too: it must not lead to reading them.
    if matches!(event.kind, EventKind::Access(_)) && event.kind != written {
        return false;
    }
    let mut any = false;
    for path in &event.paths {
        any |= route(places, path, hints);
    }
    any
}

fn route(places: &Places, path: &Path, hints: &mut Hints) -> bool {
    if path == places.config {
        hints.config = true;
        return true;
    }
    if path == places.modules {
        hints.look = true;
        hints.replaced = true;
        return true;
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name else { return false };
    let in_modules = path.parent() == Some(&*places.modules);
    match kind_of(name) {
        Kind::Module(handler) if in_modules && hints.modules.len() < MAX_NAMES => {
            hints.modules.insert(handler.to_owned());
        }
        Kind::Leftover => return false,
        // Beside the configuration file lies what is none of ours, but also links to swap.
        Kind::Module(_) | Kind::Other if !in_modules && !name.starts_with("..") => return false,
        Kind::Module(_) | Kind::Other => hints.look = true,
    }
    true
}

/// What a name in the folder of modules stands for.
#[derive(Debug, PartialEq, Eq)]
enum Kind<'n> {
    /// The module of this handler.
    Module(&'n str),
    /// What programs leave while they write a file.
    Leftover,
    /// Perhaps a link through which modules are reached, such as `..data`.
    Other,
}

fn kind_of(name: &str) -> Kind<'_> {
    const ENDINGS: [&str; 4] = ["~", ".tmp", ".part", ".swp"];
    let hidden = name.starts_with('.') && !name.starts_with("..");
    // vim tries with this name whether it may write into a folder.
    if hidden || name == "4913" || ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        return Kind::Leftover;
    }
    let endings = [".wasm", ".js", ".mjs"].iter();
    match endings
        .filter_map(|ending| name.strip_suffix(ending))
        .next()
    {
        Some(handler) if !handler.is_empty() && !handler.starts_with('.') => Kind::Module(handler),
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag, ModifyKind, RenameMode};

    use super::*;

    fn places() -> Places {
        Places {
            modules: "/srv/handlers".into(),
            config: "/srv/gristmill.toml".into(),
        }
    }

    fn hints(events: &[Event]) -> (bool, Hints) {
        let mut hints = Hints::default();
        let mut any = false;
        for event in events {
            any |= note(&places(), &Ok(event.clone()), &mut hints);
        }
        (any, hints)
    }

    fn created(path: &str) -> Event {
        Event::new(EventKind::Create(CreateKind::File)).add_path(path.into())
    }

    #[test]
    fn only_names_that_can_be_modules_are_modules() {
        for (name, kind) in [
            ("orders.wasm", Kind::Module("orders")),
            ("a.b.wasm", Kind::Module("a.b")),
            ("orders.js", Kind::Module("orders")),
            ("orders.mjs", Kind::Module("orders")),
            ("orders.js~", Kind::Leftover),
            (".js", Kind::Leftover),
            (".orders.wasm", Kind::Leftover),
            (".wasm", Kind::Leftover),
            ("orders.wasm~", Kind::Leftover),
            ("orders.wasm.tmp", Kind::Leftover),
            ("orders.wasm.part", Kind::Leftover),
            (".orders.wasm.swp", Kind::Leftover),
            ("4913", Kind::Leftover),
            ("..data", Kind::Other),
            ("..data_tmp", Kind::Other),
            ("..2026_11_20", Kind::Other),
            ("current", Kind::Other),
            ("orders.WASM", Kind::Other),
        ] {
            assert_eq!(kind_of(name), kind, "{name}");
        }
    }

    #[test]
    fn an_event_says_only_where_to_look() {
        let look = Hints {
            look: true,
            ..Hints::default()
        };
        let replaced = Hints {
            replaced: true,
            ..look.clone()
        };
        let module = Hints {
            modules: ["orders".to_owned()].into(),
            ..Hints::default()
        };
        let config = Hints {
            config: true,
            ..Hints::default()
        };
        let nothing = Hints::default;
        for (path, expected) in [
            ("/srv/handlers/orders.wasm", module),
            ("/srv/handlers/..data", look.clone()),
            ("/srv/handlers", replaced),
            ("/srv/gristmill.toml", config),
            ("/srv/..data", look),
            ("/srv/handlers/.orders.wasm.x", nothing()),
            ("/srv/handlers/orders.wasm~", nothing()),
            ("/srv/gristmill.log", nothing()),
            ("/srv/orders.wasm", nothing()),
        ] {
            let (any, found) = hints(&[created(path)]);
            assert_eq!(found, expected, "{path}");
            assert_eq!(any, found != nothing(), "{path}");
        }
    }

    #[test]
    fn reading_is_no_change_but_lost_events_are() {
        let of = |kind| Event::new(kind).add_path("/srv/handlers/orders.wasm".into());
        for kind in [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Read,
            AccessKind::Close(AccessMode::Read),
        ] {
            assert!(!hints(&[of(EventKind::Access(kind))]).0, "{kind:?}");
        }
        let (any, _) = hints(&[of(EventKind::Access(AccessKind::Close(AccessMode::Write)))]);
        assert!(any);
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(hints(&[lost]).1.look);
        let mut failed = Hints::default();
        assert!(note(&places(), &Err(notify::Error::generic("x")), &mut failed) && failed.look);
    }

    #[test]
    fn a_rename_names_both_files() {
        let event = Event::new(EventKind::Modify(ModifyKind::Name(RenameMode::Both)))
            .add_path("/srv/handlers/orders.wasm.tmp".into())
            .add_path("/srv/handlers/orders.wasm".into());
        assert_eq!(hints(&[event]).1.modules, ["orders".to_owned()].into());
    }

    #[test]
    fn too_many_names_are_a_look_at_everything() {
        let events: Vec<_> = (0..MAX_NAMES + 1)
            .map(|n| created(&format!("/srv/handlers/n{n}.wasm")))
            .collect();
        let (_, found) = hints(&events);
        assert!(found.look && found.modules.len() == MAX_NAMES);
    }
}
