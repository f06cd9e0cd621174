//! A peer: found on this machine or in `target/peers`, started in a folder of its own, killed in the end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gristmill_tests::{free_port, workspace};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::usage::Usage;

/// Within this time a peer has to listen, and to end, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Calls that make something durable.
const SYNCS: &str = "trace=fsync,fdatasync,sync_file_range,msync,syncfs";

/// A program with its arguments; other than `Command` it can be put behind another.
pub struct Program {
    path: PathBuf,
    args: Vec<std::ffi::OsString>,
    variables: Vec<(String, String)>,
    /// It does not run as root.
    modest: bool,
}

impl Program {
    pub fn new(name: &str) -> Result<Self> {
        Ok(Program::at(find(name)?))
    }

    pub fn at(path: PathBuf) -> Self {
        Program {
            path,
            args: Vec::new(),
            variables: Vec::new(),
            modest: false,
        }
    }

    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        for arg in args {
            self.arg(arg);
        }
        self
    }

    pub fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As root it is run as `nobody`, because it refuses to be run as root.
    pub fn modestly(&mut self) -> &mut Self {
        self.modest = rustix::process::geteuid().is_root();
        self
    }

    /// The command; with `counts`, a count of the calls that make something durable is written there when
    /// it ends.
    pub fn command(&self, counts: Option<&Path>) -> Command {
        let mut words: Vec<std::ffi::OsString> = Vec::new();
        if let Some(counts) = counts {
            let strace = [
                "strace",
                "-f",
                "--seccomp-bpf",
                "-q",
                "-c",
                "-e",
                SYNCS,
                "-o",
            ];
            words.extend(strace.map(Into::into));
            words.push(counts.into());
        }
        if self.modest {
            let setpriv = [
                "setpriv",
                "--reuid=nobody",
                "--regid=nogroup",
                "--clear-groups",
            ];
            words.extend(setpriv.map(Into::into));
        }
        words.push(self.path.clone().into());
        words.extend(self.args.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let libraries = installed().join("usr/lib/x86_64-linux-gnu");
        command.env("LD_LIBRARY_PATH", libraries);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Lets whom it runs as write there.
    pub fn own(&self, folder: &Path) -> Result<()> {
        if self.modest {
            let mut chown = Command::new("chown");
            gristmill_tests::run(chown.args(["-R", "nobody:nogroup"]).arg(folder))?;
        }
        Ok(())
    }
}

/// Where `bench/prepare` puts what is not installed.
fn installed() -> PathBuf {
    workspace().join("target/peers/root")
}

/// A program on this machine, or where `bench/prepare` put it.
pub fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let root = installed();
    folders.push(workspace().join("target/peers/nats/bin"));
    for base in [root.as_path(), Path::new("/")] {
        folders.extend(["usr/bin", "usr/sbin"].map(|folder| base.join(folder)));
        let versions = fs::read_dir(base.join("usr/lib/postgresql"));
        folders.extend(
            versions
                .into_iter()
                .flatten()
                .flatten()
                .map(|at| at.path().join("bin")),
        );
    }
    let found = folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("{name} is not here: run bench/prepare"))
}

/// What a program says of its version, in one line.
pub fn version(program: &str, args: &[&str]) -> Result<String> {
    let mut program = Program::new(program)?;
    program.args(args);
    let said = program.command(None).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(said.lines().next().unwrap_or_default().trim().to_owned())
}

pub struct Server {
    pub address: SocketAddr,
    name: &'static str,
    child: Child,
    /// Others that were started for it.
    more: Vec<Child>,
    counts: Option<PathBuf>,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a program, and waits until it listens at the port that it was given.
    pub fn start(
        name: &'static str,
        trace: bool,
        make: impl FnOnce(&Path, u16) -> Result<Program>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        let port = free_port()?;
        let program = make(&data, port)?;
        program.own(folder.path())?;
        let counts = trace.then(|| folder.path().join("counts"));
        let log = File::create(folder.path().join("log"))?;
        let mut command = program.command(counts.as_deref());
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A group of its own, so that all of it can be ended.
        let child = command.process_group(0).spawn();
        let child = child.with_context(|| format!("{name} cannot be started"))?;
        let mut server = Server {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            name,
            child,
            more: Vec::new(),
            counts,
            folder,
        };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Result<()> {
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.log());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{} does not listen:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Another process that ends with it.
    pub fn keep(&mut self, child: Child) {
        self.more.push(child);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn usage(&self) -> Result<Usage> {
        Usage::of(Pid::from_child(&self.child))
    }

    /// Ends it, and says how often something was made durable, if that was counted.
    pub fn end(mut self, signal: Signal) -> Result<Option<u64>> {
        let group = Pid::from_child(&self.child);
        if self.counts.is_some() {
            // strace ends with the last of those that it looks at.
            kill_process_group(group, signal)?;
            let began = Instant::now();
            while self.child.try_wait()?.is_none() && began.elapsed() < PATIENCE {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        let text = self.counts.as_ref().map(fs::read_to_string).transpose()?;
        Ok(text.map(|text| calls(&text)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        for mut child in self.more.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// All calls of a table that `strace -c` has written.
pub fn calls(table: &str) -> u64 {
    // % time, seconds, usecs/call, calls, (errors,) syscall
    let rows = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words.last()?;
        (SYNCS.contains(name) && *name != "total").then(|| words.get(3)?.parse::<u64>().ok())?
    });
    rows.sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn calls_are_counted() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.00    0.001000         100        10           fdatasync
  1.00    0.000010          10         2         1 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.001010          84        12         1 total
";
        assert_eq!(super::calls(table), 12);
    }
}
