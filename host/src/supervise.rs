//! A small parent that keeps a host running: `gristmill serve --supervise`.
//!
//! | how the host ended | what the parent does |
//! |---|---|
//! | a signal, exit 74, any exit that is not named here | starts it again: at once, then after a pause that doubles |
//! | exit 0 | ends with 0 |
//! | exit 1, 2, 75, 78 | ends with the same: a restart would not help |
//!
//! SIGTERM, SIGINT and SIGHUP are passed on; after SIGTERM or SIGINT nothing is started again. It reads
//! no configuration, opens no file and has no thread but its own, so that what kills the host does not
//! kill it. Should it die nevertheless, the host is asked to stop, as by SIGTERM.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{self, SignalKind, signal};

use crate::parent;

/// The pause before the second restart in a row; the first is at once.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. Restarts go on for ever.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// A host that has run for so long was sound: the next restart is at once again.
const SOUND: Duration = Duration::from_secs(60);

/// Exit codes after which a restart would not help.
const FINAL: [u8; 5] = [0, 1, 2, 75, 78];

/// Starts the host that `command` makes, again and again, until it ends in a way that is final or this
/// process is asked to stop. Returns the exit code for it.
///
/// # Errors
/// When the host cannot be started the first time, or signals are not to be had.
pub fn supervise(command: impl Fn() -> Command) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(keep_running(command))
}

/// Ties the life of this process, which is the host, to that of its parent.
///
/// # Errors
/// When the parent is gone already, or the system cannot do it.
pub fn follow(parent: i32) -> io::Result<()> {
    let gone = "the process that supervised this one is gone";
    parent::follow(parent, Signal::TERM, gone)
}

/// The same within an executor of one's own, whose timers and signals are enabled.
///
/// # Errors
/// When the host cannot be started the first time, or signals are not to be had.
pub async fn keep_running(command: impl Fn() -> Command) -> io::Result<u8> {
    let mut signals = Signals::new()?;
    let mut pauses = Pauses::default();
    let mut first = true;
    loop {
        let began = Instant::now();
        let ended = match spawn(&command) {
            Ok(child) => signals.wait(child).await?,
            Err(error) if first => return Err(error),
            // For want of memory or processes: others may let go of some.
            Err(error) => Ended {
                how: End::Again(format!("the host could not be started: {error}")),
                asked: false,
            },
        };
        first = false;
        let why = match (ended.how, ended.asked) {
            (End::Final(code), _) => return Ok(code),
            (End::Again(how), true) => {
                eprintln!("gristmill: {how}, while it was stopping");
                return Ok(1);
            }
            (End::Early, true) => return Ok(0),
            (End::Early, false) => {
                "the host was asked to stop by somebody else before it served".to_owned()
            }
            (End::Again(how), false) => how,
        };
        let pause = pauses.after(began.elapsed());
        if pause.is_zero() {
            eprintln!("gristmill: {why}; it is started again");
        } else {
            eprintln!("gristmill: {why}; it is started again in {pause:?}");
        }
        if signals.stop_within(pause).await {
            return Ok(0);
        }
    }
}

fn spawn(command: impl Fn() -> Command) -> io::Result<Child> {
    let mut command = command();
    // In a group of its own: what a terminal sends to the parent's comes once, by way of the parent.
    command.process_group(0).stdin(Stdio::null()).spawn()
}

/// How a host ended, and whether it had been asked to.
struct Ended {
    how: End,
    asked: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With this exit code, after which it is not started again.
    Final(u8),
    /// By a signal that asks it to stop, before it could take it.
    Early,
    /// In another way, told in words.
    Again(String),
}

impl End {
    fn of(status: ExitStatus) -> Self {
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        match (code, status.signal()) {
            (Some(code), _) if FINAL.contains(&code) => End::Final(code),
            (Some(code), _) => End::Again(format!("the host ended with exit code {code}")),
            (None, Some(signal))
                if [Signal::TERM, Signal::INT]
                    .map(Signal::as_raw)
                    .contains(&signal) =>
            {
                End::Early
            }
            (None, Some(signal)) => End::Again(format!("the host was killed by signal {signal}")),
            (None, None) => End::Again(format!("the host ended: {status}")),
        }
    }
}

/// How long to wait before the next restart.
#[derive(Default)]
struct Pauses {
    next: Duration,
}

impl Pauses {
    /// After a host that ran for so long.
    fn after(&mut self, ran: Duration) -> Duration {
        let pause = if ran >= SOUND {
            Duration::ZERO
        } else {
            self.next
        };
        self.next = (pause * 2).clamp(PAUSE, MAX_PAUSE);
        pause
    }
}

struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
    child: unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// Waits for the end of a host, and passes on what is sent to it.
    async fn wait(&mut self, mut child: Child) -> io::Result<Ended> {
        let mut asked = false;
        loop {
            if let Some(status) = child.try_wait()? {
                let how = End::of(status);
                return Ok(Ended { how, asked });
            }
            let passed = tokio::select! {
                _ = self.child.recv() => continue,
                _ = self.terminate.recv() => Signal::TERM,
                _ = self.interrupt.recv() => Signal::INT,
                _ = self.hangup.recv() => Signal::HUP,
            };
            asked |= passed != Signal::HUP;
            // It may have ended just now, which the next look tells.
            let _ = kill_process(Pid::from_child(&child), passed);
        }
    }

    /// Whether this process is asked to stop within that time.
    async fn stop_within(&mut self, pause: Duration) -> bool {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                biased;
                _ = self.terminate.recv() => return true,
                _ = self.interrupt.recv() => return true,
                _ = self.hangup.recv() => {}
                () = &mut pause => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_go_on_for_ever_ever_more_slowly_until_a_host_was_sound() {
        let mut pauses = Pauses::default();
        let in_a_row: Vec<u128> = (0..9)
            .map(|_| pauses.after(Duration::from_secs(1)).as_millis())
            .collect();
        assert_eq!(in_a_row, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pauses.after(SOUND), Duration::ZERO);
        assert_eq!(pauses.after(Duration::ZERO), PAUSE);
    }

    #[test]
    fn what_a_restart_cannot_help_is_final_and_anything_else_is_a_crash() {
        let exit = |code: i32| End::of(ExitStatus::from_raw(code << 8));
        for code in FINAL {
            assert_eq!(exit(i32::from(code)), End::Final(code));
        }
        for code in [74, 101, 3, 255] {
            let words = format!("the host ended with exit code {code}");
            assert_eq!(exit(code), End::Again(words));
        }
        let killed = End::Again("the host was killed by signal 9".to_owned());
        assert_eq!(End::of(ExitStatus::from_raw(9)), killed);
        assert_eq!(End::of(ExitStatus::from_raw(15)), End::Early);
    }
}
