//! The loop: looks when somebody said so or it is time, does what is due, and sleeps until then.
//!
//! One module is read and loaded at a time, beside the loop: while one compiles, another may be
//! removed and the configuration may change.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

use super::ReloadError;
use super::config_file::{self, ConfigReload};
use super::disk;
use super::handlers::{Applied, Handlers};
use super::load::on_thread;
use super::scan::{Hash, Outcome, Scan, Seen, Step};
use super::watch::{Folders, Hints, Mailbox, Places};
use crate::config::{Config, Watch};

/// Hints are collected for so long before the disk is looked at.
const GATHER: Duration = Duration::from_millis(20);
/// How often the folders are looked at if the system does not tell of changes.
const POLL: Duration = Duration::from_secs(1);
/// While modules are loaded one after the other, files are looked at no more often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Requests that wait to be taken.
const MAX_REQUESTS: usize = 16;

/// Watches modules and the configuration, and applies what changes.
pub struct Reloader {
    requests: mpsc::Sender<oneshot::Sender<ConfigReload>>,
    task: AbortHandle,
}

impl Reloader {
    /// Applies the configuration, begins to load its modules and to watch the folders. Queues get
    /// their lines as their modules become ready.
    ///
    /// # Errors
    /// When the store has closed, or paths are relative to a folder that is gone.
    pub async fn start(handlers: Handlers, config: Config) -> Result<Reloader, ReloadError> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| ReloadError::Path {
                path: path.to_owned(),
                source,
            })
        };
        let places = Places {
            modules: absolute(&config.host.handlers)?,
            config: absolute(&config.source)?,
        };
        handlers.apply(&config).await?;
        let mailbox = Arc::<Mailbox>::default();
        let how = config.host.watch;
        let (routes, target) = (places.clone(), Arc::clone(&mailbox));
        let folders = on_thread(move || Folders::watch(&routes, how, &target)).await;
        let (requests, taken) = mpsc::channel(MAX_REQUESTS);
        let run = Run {
            handlers,
            how,
            folders: folders.ok().map(|folders| Arc::new(Mutex::new(folders))),
            mailbox,
            config_file: places.config,
            modules: Scan::default(),
            config: Scan::default(),
            waiting: VecDeque::new(),
            loading: None,
            requests: taken,
            full_scan: Instant::now() + POLL,
            looked: Instant::now(),
            replaced: false,
            look_now: false,
        };
        let task = tokio::spawn(run.run()).abort_handle();
        Ok(Reloader { requests, task })
    }

    /// Reads the configuration again, whether or not its file changed.
    pub async fn reload_config(&self) -> ConfigReload {
        let (reply, answer) = oneshot::channel();
        let stopped = || ConfigReload::Failed("the host is stopping".to_owned());
        if self.requests.send(reply).await.is_err() {
            return stopped();
        }
        answer.await.unwrap_or_else(|_| stopped())
    }

    /// Watches no more. What serves goes on.
    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Run {
    handlers: Handlers,
    how: Watch,
    folders: Option<Arc<Mutex<Folders>>>,
    mailbox: Arc<Mailbox>,
    config_file: PathBuf,
    modules: Scan,
    /// Watches one file, by its path.
    config: Scan,
    /// Modules to be read, and what is known of them. Each is in here once at most.
    waiting: VecDeque<(String, Option<Hash>)>,
    loading: Option<(String, JoinHandle<Outcome>)>,
    requests: mpsc::Receiver<oneshot::Sender<ConfigReload>>,
    full_scan: Instant,
    looked: Instant,
    replaced: bool,
    /// There may be new handlers, whose files were never looked at.
    look_now: bool,
}

enum Woken {
    Time,
    Hints,
    Loaded(String, Outcome),
    Request(oneshot::Sender<ConfigReload>),
    Closed,
}

impl Run {
    async fn run(mut self) {
        let config_name = self.config_name();
        self.config.want(std::iter::once(&config_name));
        let mut look = true;
        loop {
            if std::mem::replace(&mut look, true) {
                self.look().await;
            }
            self.act().await;
            match self.wait().await {
                Woken::Time => {}
                Woken::Hints => {
                    tokio::time::sleep(GATHER).await;
                    let hints = self.mailbox.take();
                    self.note(&hints);
                }
                Woken::Loaded(name, outcome) => {
                    self.loading = None;
                    look = self.waiting.is_empty() || self.looked.elapsed() >= LOOK_AGAIN;
                    if let Some(problem) = self.modules.done(&name, outcome, Instant::now()) {
                        self.handlers.refused(&name, problem);
                    }
                }
                Woken::Request(reply) => {
                    let (reload, applied) = config_file::reload(&self.handlers).await;
                    if matches!(&reload, ConfigReload::Applied(change) if change.is_empty()) {
                        tracing::info!("the configuration is as it was");
                    }
                    config_file::log(&self.config_file, &reload);
                    self.look_again(&applied);
                    // What was read now is not what the scan knows, and may be changed back.
                    self.config.forget(&config_name, Instant::now());
                    self.config.hint(&config_name, Instant::now());
                    let _ = reply.send(reload);
                }
                Woken::Closed => return,
            }
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) -> Woken {
        if std::mem::take(&mut self.look_now) {
            return Woken::Time;
        }
        let wakes = [
            self.modules.wake(),
            self.config.wake(),
            Some(self.next_look()),
        ];
        let wake = wakes.into_iter().flatten().min();
        let wake = wake.unwrap_or_else(Instant::now);
        let loading = async {
            match &mut self.loading {
                Some((name, loading)) => {
                    let failed = |_| Outcome::Unreadable("loading failed in the host".to_owned());
                    (name.clone(), loading.await.unwrap_or_else(failed))
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            request = self.requests.recv() => request.map_or(Woken::Closed, Woken::Request),
            (name, outcome) = loading => Woken::Loaded(name, outcome),
            () = self.mailbox.filled() => Woken::Hints,
            () = tokio::time::sleep_until(wake.into()) => Woken::Time,
        }
    }

    fn next_look(&self) -> Instant {
        let watched = self.folders.as_ref().is_some_and(|folders| {
            let folders = folders.lock().unwrap_or_else(PoisonError::into_inner);
            folders.are_watched()
        });
        if watched && self.how == Watch::Auto {
            self.full_scan
        } else {
            self.full_scan.min(Instant::now() + POLL)
        }
    }

    fn note(&mut self, hints: &Hints) {
        let now = Instant::now();
        for name in &hints.modules {
            self.modules.hint(name, now);
        }
        if hints.config {
            let name = self.config_name();
            self.config.hint(&name, now);
        }
        self.replaced |= hints.replaced;
    }

    /// Looks at every file: that is cheap, and finds what no event told.
    async fn look(&mut self) {
        let mut paths = self.handlers.paths();
        self.modules.want(paths.keys());
        let config_name = self.config_name();
        paths.insert(config_name.clone(), self.config_file.clone());
        let (folders, replaced) = (self.folders.clone(), std::mem::take(&mut self.replaced));
        let seen = on_thread(move || look_at(folders.as_ref(), replaced, paths)).await;
        let Ok(mut seen) = seen else { return };
        let now = Instant::now();
        self.looked = now;
        if let Some((seen, age)) = seen.remove(&config_name) {
            self.config.look(&config_name, seen, age, now);
        }
        for (name, (seen, age)) in seen {
            self.modules.look(&name, seen, age, now);
        }
        if now >= self.full_scan {
            let interval = self
                .handlers
                .config()
                .map(|config| config.host.scan_interval);
            self.full_scan = now + interval.unwrap_or(POLL);
            // What the run before has left is of use to those that are not loaded yet.
            if self.waiting.is_empty() && self.loading.is_none() {
                self.handlers.tidy().await;
            }
        }
    }

    /// Does what is due.
    async fn act(&mut self) {
        for step in self.modules.steps(Instant::now()) {
            match step {
                Step::Read { name, known } => self.waiting.push_back((name, known)),
                Step::Gone { name } => self.handlers.gone(&name).await,
            }
        }
        for step in self.config.steps(Instant::now()) {
            self.act_on_config(step).await;
        }
        if self.loading.is_none()
            && let Some((name, known)) = self.waiting.pop_front()
        {
            let handlers = self.handlers.clone();
            let file = name.clone();
            let load = async move { handlers.try_file(&file, known).await };
            self.loading = Some((name, tokio::spawn(load)));
        }
    }

    async fn act_on_config(&mut self, step: Step) {
        let path = self.config_file.clone();
        let shown = path.display();
        match step {
            Step::Gone { .. } => {
                tracing::warn!("{shown} was removed; the configuration stays as it is");
            }
            Step::Read { name, known } => {
                let (outcome, applied) =
                    config_file::reload_changed(&self.handlers, &path, known).await;
                if let Some(problem) = self.config.done(&name, outcome, Instant::now()) {
                    tracing::error!("{shown}: {problem}; the old configuration stays");
                }
                self.look_again(&applied);
            }
        }
    }

    /// After the configuration changed, files that were refused may be allowed, and handlers
    /// without a version may get one.
    fn look_again(&mut self, applied: &Applied) {
        self.look_now = true;
        let now = Instant::now();
        for name in &applied.changed {
            if self.modules.is_refused(name) || !self.handlers.serves(name) {
                self.modules.forget(name, now);
            }
        }
    }

    /// The name of the configuration file among the files that are looked at. A handler's name has
    /// no slash.
    fn config_name(&self) -> String {
        self.config_file.to_string_lossy().into_owned()
    }
}

type Looks = BTreeMap<String, (Seen, Option<Duration>)>;

fn look_at(
    folders: Option<&Arc<Mutex<Folders>>>,
    replaced: bool,
    paths: BTreeMap<String, PathBuf>,
) -> Looks {
    // Watched first, so that what happens after the look is told.
    if let Some(folders) = folders {
        let mut folders = folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.renew(replaced);
    }
    let look = |(name, path): (String, PathBuf)| (name, disk::look(&path));
    paths.into_iter().map(look).collect()
}
