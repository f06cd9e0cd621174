//! One run of a build command: a shell, in a group of processes of its own so that all of it can be
//! ended together.
//!
//! It prints where this process prints, so that compilers show their colours. It reads nothing.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::{Instant, timeout};

/// How long a build has to end by itself after it was asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a build ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Well,
    /// In another way, told in words that go after "the build".
    Badly(String),
}

impl Ended {
    /// It could not even begin.
    pub fn failed(error: &io::Error) -> Self {
        Ended::Badly(format!("could not be started: {error}"))
    }

    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(0), _) => Ended::Well,
            (Some(127), _) => {
                Ended::Badly("failed with exit code 127: the command was not found".to_owned())
            }
            (Some(code), _) => Ended::Badly(format!("failed with exit code {code}")),
            (None, Some(signal)) => Ended::Badly(format!("was killed by signal {signal}")),
            (None, None) => Ended::Badly(format!("ended: {status}")),
        }
    }
}

/// A build that runs. Dropped, it is asked to end.
pub struct Run {
    shell: Child,
    children: unix::Signal,
    is_over: bool,
}

impl Run {
    /// Starts a command line in a folder.
    ///
    /// # Errors
    /// When there is no shell, or no process to be had.
    pub fn start(command: &str, folder: &Path) -> io::Result<Self> {
        // Before the shell, so that its end is not missed.
        let children = signal(SignalKind::child())?;
        let shell = Command::new("sh")
            .args(["-c", command])
            .current_dir(folder)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Run {
            shell,
            children,
            is_over: false,
        })
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Ended {
        loop {
            match self.shell.try_wait() {
                Ok(Some(status)) => {
                    self.is_over = true;
                    return Ended::of(status);
                }
                Ok(None) => drop(self.children.recv().await),
                Err(error) => return Ended::Badly(format!("was lost sight of: {error}")),
            }
        }
    }

    /// Ends it with all that it has started: first it is asked to, then it has to.
    pub async fn stop(mut self) {
        self.tell(Signal::TERM);
        let until = Instant::now() + PATIENCE;
        if timeout(PATIENCE, self.ended()).await.is_err() {
            self.is_over = false;
        }
        // The shell is gone at once; what it started may take longer to clean up.
        while self.has_members() && Instant::now() < until {
            tokio::time::sleep(PATIENCE / 100).await;
        }
        if self.has_members() {
            self.tell(Signal::KILL);
        }
    }

    /// Whether there is anybody left of its group.
    fn has_members(&self) -> bool {
        rustix::process::test_kill_process_group(self.group()).is_ok()
    }

    fn tell(&self, signal: Signal) {
        // There may be nobody left to be told.
        let _ = kill_process_group(self.group(), signal);
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.shell)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.is_over {
            self.tell(Signal::TERM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: &str) -> Ended {
        let mut run = Run::start(command, Path::new("/")).unwrap();
        run.ended().await
    }

    #[tokio::test]
    async fn a_command_line_is_run_by_the_shell_and_its_end_is_told() {
        assert_eq!(run("test $(pwd) = / && true").await, Ended::Well);
        let failed = |how: &str| Ended::Badly(how.to_owned());
        assert_eq!(run("exit 3").await, failed("failed with exit code 3"));
        assert_eq!(
            run("no-such-compiler-anywhere 2>/dev/null").await,
            failed("failed with exit code 127: the command was not found")
        );
        assert_eq!(run("kill -9 $$").await, failed("was killed by signal 9"));
    }

    #[tokio::test]
    async fn what_is_stopped_leaves_nobody_behind() {
        // One that does not mind being asked, and a child that it does not wait for.
        let run = Run::start("sleep 600 & exec sleep 600", Path::new("/")).unwrap();
        let group = run.group();
        run.stop().await;
        assert!(rustix::process::test_kill_process_group(group).is_err());
    }
}
