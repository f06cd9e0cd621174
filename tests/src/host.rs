//! A host in a folder of its own: how it is set up, started, stopped and killed.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Socket, guests, kept};

/// Within this time everything that a test waits for has to happen, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);

const CONFIG: &str = "gristmill.toml";
const DATA: &str = "gristmill-data";

/// A folder with a configuration and modules, and the host that serves it, if one does.
///
/// What is dropped is killed.
#[derive(Debug)]
pub struct Host {
    folder: PathBuf,
    data: PathBuf,
    /// Removed with the host, unless the folder was given.
    temporary: Option<tempfile::TempDir>,
    child: Option<Child>,
    environment: Vec<(String, String)>,
}

impl Host {
    /// A fresh folder with this configuration and the modules of these packages.
    ///
    /// # Errors
    /// When something cannot be built or written.
    pub fn new(config: &str, modules: &[&str]) -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let mut host = Self::at(temporary.path(), config, modules)?;
        host.share_compiled()?;
        host.temporary = Some(temporary);
        Ok(host)
    }

    /// The same in a folder that stays.
    ///
    /// # Errors
    /// When something cannot be built or written.
    pub fn at(folder: &Path, config: &str, modules: &[&str]) -> Result<Self> {
        fs::create_dir_all(folder.join("handlers"))?;
        let host = Host {
            folder: folder.to_owned(),
            data: folder.join(DATA),
            temporary: None,
            child: None,
            environment: Vec::new(),
        };
        host.configure(config)?;
        for module in modules {
            host.install(module, module)?;
        }
        Ok(host)
    }

    /// Compiled code is named by what it was compiled from, so hosts of a test run can share it:
    /// each module is compiled once.
    fn share_compiled(&self) -> Result<()> {
        fs::create_dir_all(self.data())?;
        symlink(kept("compiled")?, self.data().join("compiled"))?;
        Ok(())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The configuration names another data folder, in the folder of the host.
    pub fn move_data(&mut self, name: &str) {
        self.data = self.folder.join(name);
    }

    /// Where this module is.
    #[must_use]
    pub fn module(&self, name: &str) -> PathBuf {
        self.folder
            .join("handlers")
            .join(name)
            .with_extension("wasm")
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, config: &str) -> Result<()> {
        Ok(fs::write(self.folder.join(CONFIG), config)?)
    }

    /// Puts the module of a package there under a name, as a build would: whole, by renaming.
    ///
    /// # Errors
    /// When it cannot be built or written.
    pub fn install(&self, package: &str, name: &str) -> Result<()> {
        self.install_bytes(&fs::read(guests()?.path(package))?, name)
    }

    /// The same with a module of one's own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn install_bytes(&self, module: &[u8], name: &str) -> Result<()> {
        let unfinished = self.folder.join("handlers").join(format!(".{name}.new"));
        fs::write(&unfinished, module)?;
        Ok(fs::rename(unfinished, self.module(name))?)
    }

    /// Starts `gristmill serve` and waits until it is ready.
    ///
    /// # Errors
    /// When it ends instead, or takes too long; with its log.
    pub fn start(&mut self) -> Result<()> {
        self.launch(&["serve"])?;
        self.wait_ready()
    }

    /// Starts `gristmill` with these arguments as the host of this folder, and does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&mut self, args: &[&str]) -> Result<()> {
        ensure!(self.child.is_none(), "a host runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let child = self
            .command(args)?
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until the host is ready.
    ///
    /// # Errors
    /// When it ends instead, or takes too long; with its log.
    pub fn wait_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            if self
                .socket()
                .get("/readyz")
                .is_ok_and(|ready| ready.status == 200)
            {
                return Ok(());
            }
            let child = self.child.as_mut().context("no host was started")?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                bail!("the host ended with {status}:\n{}", self.log());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "the host is not ready:\n{}",
                self.log()
            );
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Asks the host to stop, and waits until it has. Returns its exit code.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> Result<Option<i32>> {
        self.signal(Signal::TERM)?;
        self.wait_end()
    }

    /// Waits until the host has ended. Returns its exit code, if no signal ended it.
    ///
    /// # Errors
    /// When it goes on.
    pub fn wait_end(&mut self) -> Result<Option<i32>> {
        let began = Instant::now();
        loop {
            let child = self.child.as_mut().context("no host runs")?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Ok(status.code());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "the host does not stop:\n{}",
                self.log()
            );
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Kills the host, as a failing machine would.
    ///
    /// # Errors
    /// When none runs.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("no host runs")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends a signal to the host.
    ///
    /// # Errors
    /// When none runs.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("no host runs")?;
        Ok(kill_process(pid, signal)?)
    }

    /// The process of the host.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }

    /// The host that the process which was started supervises.
    ///
    /// # Errors
    /// When there is none.
    pub fn supervised(&self) -> Result<Pid> {
        let parent = self.pid().context("no host runs")?.as_raw_nonzero();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        let child = children
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        child
            .and_then(Pid::from_raw)
            .with_context(|| format!("process {parent} has no child"))
    }

    /// Sets a variable of the environment of the host and of every command.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.environment.iter();
        variables.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the host runs.
    pub fn is_running(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// A line of `/proc/<pid>/status` of the host, in KiB.
    ///
    /// # Errors
    /// When none runs, or the system has no such line.
    pub fn memory_kib(&self, line: &str) -> Result<u64> {
        let pid = self.pid().context("no host runs")?.as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let value = status.lines().find_map(|found| {
            let rest = found.strip_prefix(line)?.strip_prefix(':')?;
            rest.trim().strip_suffix("kB")?.trim().parse().ok()
        });
        value.with_context(|| format!("/proc/{pid}/status has no {line}"))
    }

    /// How many descriptors the host has open.
    ///
    /// # Errors
    /// When none runs.
    pub fn descriptors(&self) -> Result<usize> {
        let pid = self.pid().context("no host runs")?.as_raw_nonzero();
        Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
    }

    /// The socket of the host.
    #[must_use]
    pub fn socket(&self) -> Socket {
        Socket::new(&self.data().join("gristmill.sock"))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("gristmill.log")
    }

    /// What the host logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
