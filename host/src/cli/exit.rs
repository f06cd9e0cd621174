//! How a command ends: every exit code, and why.

use std::fmt::Display;
use std::process::ExitCode;

use gristmill_store::OpenError;

use crate::api::{Code, Problem};
use crate::config::ConfigErrors;

/// What the exit code says. The numbers are stable, and stand in [`HELP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Ok = 0,
    /// It failed, or a part of it.
    Failed = 1,
    /// The command or the configuration is wrong.
    Usage = 2,
    /// No host answers where one is needed.
    NoHost = 3,
    /// There is no such queue, message or cron entry.
    NotFound = 4,
    /// The store is damaged.
    Damaged = 5,
    /// Not in this state: the queue or the disk is full, the store is busy, the message does not wait,
    /// its lease is lost, no reply has come.
    Conflict = 6,
    /// The system gives no threads, memory or descriptors (`EX_OSERR`).
    System = 71,
    /// The store failed: what was under way is unknown (`EX_IOERR`).
    StoreFailed = 74,
    /// Another process uses the data folder (`EX_TEMPFAIL`).
    InUse = 75,
    /// `serve` does not start with this configuration (`EX_CONFIG`).
    Config = 78,
}

/// The table of exit codes, as `gristmill help` shows it.
pub const HELP: &str = "\
Exit codes:
  0   done
  1   failed, or a part of it
  2   wrong usage, or a configuration that cannot be used
  3   no host answers where one is needed
  4   no such queue, message, cron entry or store
  5   store check: the store is damaged
  6   not now: the queue or the disk is full, the store is busy, the message does not wait, its
      lease is lost, or no reply has come
  71  serve: the system gives no threads, memory or descriptors
  74  the store failed; whether it was done is not known
  75  the data folder is in use by another process
  78  serve: the configuration cannot be used

While a host runs, commands talk to it through the socket in its data folder; without one they open
the store themselves.";

impl Exit {
    /// What the exit code of a host says; [`Exit::Failed`] if it is none of `serve`'s.
    pub fn of(code: u8) -> Self {
        let known = [Exit::Ok, Exit::Usage, Exit::InUse, Exit::Config];
        let found = known.into_iter().find(|exit| *exit as u8 == code);
        found.unwrap_or(Exit::Failed)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ends without having done what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// What the exit code says.
    pub exit: Exit,
    /// What happened and what to do, for stderr; empty if it was said already.
    pub message: String,
    /// The message is rendered, with colours and with a title of its own.
    pub rendered: bool,
}

impl Failure {
    /// A failure of this kind, in these words.
    pub fn new(exit: Exit, message: impl Display) -> Self {
        Failure {
            exit,
            message: message.to_string(),
            rendered: false,
        }
    }

    /// A wrong use of the command.
    pub fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A failure about which all has been said.
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::new(exit_of(problem.code), problem.detail)
    }
}

/// The exit code that goes with a problem.
pub fn exit_of(code: Code) -> Exit {
    match code {
        Code::QueueNotFound
        | Code::MessageNotFound
        | Code::CronNotFound
        | Code::RedriveNotFound
        | Code::ReplyNotFound
        | Code::NotFound => Exit::NotFound,
        Code::QueueFull
        | Code::Busy
        | Code::NotPull
        | Code::LeaseLost
        | Code::MessageInFlight
        | Code::MessageDead
        | Code::DiskFull
        | Code::DiskReserve
        | Code::Unmatched => Exit::Conflict,
        Code::OutcomeUnknown | Code::StoreFailed => Exit::StoreFailed,
        Code::Unreachable => Exit::NoHost,
        Code::BadRequest
        | Code::InvalidMessage
        | Code::TooLarge
        | Code::TooSlow
        | Code::ReceiptInvalid
        | Code::MethodNotAllowed
        | Code::Damaged
        | Code::RequestDied
        | Code::Other => Exit::Failed,
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match error {
            OpenError::InUse { .. } => Exit::InUse,
            OpenError::NoStore { .. } => Exit::NotFound,
            _ => Exit::Failed,
        };
        Failure::new(exit, error)
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Failure {
            rendered: true,
            ..Failure::new(Exit::Usage, errors.render(super::print::color_on_stderr()))
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // A reader that has seen enough, such as `head`, is no failure.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Failure::silent(Exit::Ok);
        }
        Failure::new(Exit::Failed, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_help() {
        for exit in [
            Exit::Ok,
            Exit::Failed,
            Exit::Usage,
            Exit::NoHost,
            Exit::NotFound,
            Exit::Damaged,
            Exit::Conflict,
            Exit::System,
            Exit::StoreFailed,
            Exit::InUse,
            Exit::Config,
        ] {
            let line = format!("\n  {:<4}", exit as u8);
            assert!(HELP.contains(&line), "{exit:?} is missing");
        }
    }

    #[test]
    fn problems_become_exit_codes() {
        for (code, exit) in [
            (Code::QueueNotFound, Exit::NotFound),
            (Code::QueueFull, Exit::Conflict),
            (Code::DiskReserve, Exit::Conflict),
            (Code::OutcomeUnknown, Exit::StoreFailed),
            (Code::Unreachable, Exit::NoHost),
            (Code::InvalidMessage, Exit::Failed),
        ] {
            let failure = Failure::from(Problem::new(code, "x"));
            assert_eq!((failure.exit, failure.message.as_str()), (exit, "x"));
        }
    }
}
