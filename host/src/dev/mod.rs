//! `gristmill dev`: a host that runs beside whatever builds its modules.
//!
//! The host is the one of `serve`, in a process of its own, confined as ever; it notices new modules by
//! itself. This process runs the commands of the configuration (`build` of a queue), which no host
//! does: at the start, and when a file that they are made from (`watch`) has changed. One at a time, so
//! that never two build the same module and what they print can be read.
//!
//! | file | what it knows |
//! |---|---|
//! | `command` | one run of a build: a shell in a group of processes of its own |
//! | `stamps` | what files look like, and so whether one has changed |
//! | `bench` | whether a handler has to be built, and what is said about it; pure |
//!
//! It does not know what a module is, nor whether a build has made one.

mod bench;
mod command;
mod stamps;

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Command;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout};

use crate::config::{self, Config, Watch};
use crate::reload::Sources;
use crate::supervise;
use bench::{Bench, Verdict};
use command::{Ended, Run};
use stamps::Stamps;

/// Sources are built when they were left alone for so long …
const QUIET: Duration = Duration::from_millis(100);
/// … or so long after the first change.
const AT_MOST: Duration = Duration::from_secs(2);
/// How often they are looked at if the system does not tell of changes.
const POLL: Duration = Duration::from_secs(1);
/// How often they are looked at anyway: what the system tells may get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Builds, serves, and builds again what changes, until the host has ended. Returns its exit code.
///
/// # Errors
/// When the host cannot be started, or signals are not to be had.
pub fn dev(config: &Config, host: impl Fn() -> Command) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut stop = Stop::new()?;
        let mut workshop = Workshop::new(config)?;
        if workshop.build(&mut stop).await == Next::Stop {
            return Ok(0);
        }
        let mut host = pin!(supervise::keep_running(host));
        tokio::select! {
            ended = &mut host => return ended,
            () = workshop.go_on(&mut stop) => {}
        }
        // What was being built is over; the host was told to stop by the same signal.
        host.await
    })
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

/// What asks this process to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The handlers that are built here.
struct Workshop {
    config: PathBuf,
    /// What the configuration file looked like when it was last read.
    read: Stamps,
    folder: PathBuf,
    benches: Vec<Bench>,
    sources: Sources,
    poll: Duration,
}

impl Workshop {
    fn new(config: &Config) -> io::Result<Self> {
        let path = std::path::absolute(&config.source)?;
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        let told = config.host.watch == Watch::Auto;
        let mut workshop = Workshop {
            read: Stamps::of(std::slice::from_ref(&path), &[]),
            config: path,
            folder,
            benches: Vec::new(),
            sources: Sources::new(told),
            poll: if told { LOOK_AGAIN } else { POLL },
        };
        workshop.furnish(config);
        if workshop.benches.is_empty() {
            say("no queue has `build`: nothing is built, modules are taken over when they change");
        }
        Ok(workshop)
    }

    /// Has a bench for each handler that is built. What was built and is built in the same way stays.
    fn furnish(&mut self, config: &Config) {
        let apart = [config.host.data_dir.clone(), config.host.handlers.clone()];
        let mut before = std::mem::take(&mut self.benches);
        for (handler, build) in &config.builds {
            let same = before.iter().position(|bench| bench.is(handler, build));
            self.benches.push(match same {
                Some(at) => before.swap_remove(at),
                None => Bench::new(handler, build, &apart),
            });
        }
        let watched = self.benches.iter().flat_map(|bench| &bench.build.watch);
        let watched: Vec<PathBuf> = watched.cloned().collect();
        for missing in watched.iter().filter(|path| !path.exists()) {
            say(&format!(
                "{} is not there: nothing is watched in its place",
                missing.display()
            ));
        }
        if let Err(problem) = self.sources.watch(&self.config, &watched) {
            say(&format!(
                "changes are looked for every {} s only: {problem}",
                POLL.as_secs()
            ));
            self.poll = POLL;
        }
    }

    /// Builds what changes until this process is asked to stop.
    async fn go_on(&mut self, stop: &mut Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = self.settled() => {}
            }
            self.read_config();
            if self.build(stop).await == Next::Stop {
                return;
            }
        }
    }

    /// Waits until something may have changed, and then until it is left alone.
    async fn settled(&self) {
        if timeout(self.poll, self.sources.changed()).await.is_err() {
            return;
        }
        let latest = Instant::now() + AT_MOST;
        while Instant::now() < latest && timeout(QUIET, self.sources.changed()).await.is_ok() {}
    }

    /// Takes over what has changed in the configuration. What is wrong with it says the host.
    fn read_config(&mut self) {
        let now = Stamps::of(std::slice::from_ref(&self.config), &[]);
        if now == self.read {
            return;
        }
        self.read = now;
        if let Ok(config) = config::load(&self.config) {
            self.furnish(&config);
        }
    }

    /// Builds every handler whose sources are not those that it was built from.
    async fn build(&mut self, stop: &mut Stop) -> Next {
        for bench in &mut self.benches {
            let Some(due) = bench.due() else { continue };
            say(&format!("{}: {}", bench.handler, bench.build.command));
            let began = Instant::now();
            let ended = match Run::start(&bench.build.command, &self.folder) {
                Ok(mut run) => tokio::select! {
                    ended = run.ended() => ended,
                    () = stop.asked() => {
                        run.stop().await;
                        say(&format!("{}: the build was stopped", bench.handler));
                        return Next::Stop;
                    }
                },
                Err(error) => Ended::failed(&error),
            };
            let verdict = bench.built(due, ended, began.elapsed());
            say(&verdict.words(&bench.handler));
            if let Verdict::Restless = bench.settle() {
                say(&Verdict::Restless.words(&bench.handler));
            }
        }
        Next::GoOn
    }
}

/// A remark, between what compilers and the host print.
fn say(remark: &str) {
    eprintln!("dev: {remark}");
}
