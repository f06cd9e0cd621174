//! redb's own check of a file, in a process of its own: over some damage redb panics, and over a little
//! of that once more while it cleans up, which ends the process whatever anybody catches.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::Signal;

use crate::cli::exit::Exit;
use crate::parent;

/// The hidden verb that makes the binary such a process.
pub const VERB: &str = "__verify";

/// What the binary does when its first argument is `__verify`: has redb check the file that is named
/// next, and prints what is wrong with it. The argument behind is the process that asks, with which this
/// one ends.
pub fn child_main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(2);
    let file = arguments.next().map(PathBuf::from);
    let asking = arguments.next().and_then(|pid| pid.to_str()?.parse().ok());
    let (Some(file), Some(asking)) = (file, asking) else {
        eprintln!("usage: {VERB} <file> <process>; gristmill calls this itself");
        return Exit::Usage.into();
    };
    let gone = "the command that asked for this is gone";
    if let Err(error) = parent::follow(asking, Signal::KILL, gone) {
        eprintln!("{error}");
        return Exit::Failed.into();
    }
    match gristmill_store::verify_file(&file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            println!("{what}");
            Exit::Damaged.into()
        }
    }
}

/// Has redb check a file in a process of its own.
///
/// # Errors
/// What redb finds, or how it ended.
pub fn verify(file: &Path) -> Result<(), String> {
    let Ok(exe) = std::env::current_exe() else {
        // Better a check that may end the command than none.
        return gristmill_store::verify_file(file);
    };
    let mut child = Command::new(exe);
    child
        .arg(VERB)
        .arg(file)
        .arg(std::process::id().to_string());
    ask(child)
}

fn ask(mut child: Command) -> Result<(), String> {
    // What a panic prints on its way says nothing to who asks for a check.
    let ended = child.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let ended =
        ended.map_err(|error| format!("redb's check of the file does not start: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stdout);
    if ended.status.code() == Some(Exit::Damaged as i32) && !said.trim().is_empty() {
        return Err(said.trim().to_owned());
    }
    Err(format!(
        "redb's check of the file did not come to its end ({}): a host would end in the same way",
        ended.status
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn however_the_check_ends_it_is_told_in_words() {
        assert_eq!(ask(shell("exit 0")), Ok(()));
        let found = ask(shell("echo the file is damaged; echo noise >&2; exit 5"));
        assert_eq!(found, Err("the file is damaged".to_owned()));
        let aborted = ask(shell("kill -ABRT $$")).unwrap_err();
        assert!(
            aborted.starts_with("redb's check of the file did not come to its end (signal: 6"),
            "{aborted}"
        );
        let silent = ask(shell("exit 5")).unwrap_err();
        assert!(silent.contains("(exit status: 5)"), "{silent}");
        let missing = ask(Command::new("/nowhere/gristmill")).unwrap_err();
        assert!(missing.contains("does not start"), "{missing}");
    }
}
