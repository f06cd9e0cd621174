//! What tests over the network need: a free port, clients of others, and whether these have to be there.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// A port at which nobody listens just now.
///
/// # Errors
/// When the system gives none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Whether a test may leave out a client that this machine does not have. In CI it may not.
fn may_skip() -> bool {
    let set = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    !set("GRISTMILL_CLIENTS", "required") && !set("CI", "1") && !set("CI", "true")
}

/// Whether a program is there. If it is not, that is said, and a test that needs it ends early.
///
/// # Panics
/// When it has to be there and is not.
#[must_use]
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    let there = found.is_ok_and(|output| output.status.success());
    assert!(
        there || may_skip(),
        "{program} is not there, and GRISTMILL_CLIENTS=required"
    );
    if !there {
        println!("SKIP: {program} is not there");
    }
    there
}

/// The folder of programs of a Python environment with what a file of requirements in `tests/clients`
/// names. It is kept, and made anew when the file changes. `None` if this machine has no Python, or
/// cannot fetch packages; that is said.
///
/// # Errors
/// When it cannot be made and has to be.
pub fn python_environment(name: &str) -> Result<Option<PathBuf>> {
    if !has("python3") {
        return Ok(None);
    }
    match environment(name) {
        Ok(programs) => Ok(Some(programs)),
        Err(error) if may_skip() => {
            println!("SKIP: {name} cannot be prepared: {error:#}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn environment(name: &str) -> Result<PathBuf> {
    let requirements = workspace().join(format!("tests/clients/requirements-{name}.txt"));
    let wanted = fs::read_to_string(&requirements)?;
    let folder = workspace().join("target/clients").join(name);
    let programs = folder.join("bin");
    let done = folder.join("requirements.txt");
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(programs);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    let mut pip = Command::new(programs.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(pip.arg(&requirements))?;
    fs::write(done, wanted)?;
    Ok(programs)
}

/// Runs a program that has to succeed, and returns what it says.
///
/// # Errors
/// When it cannot be run, or fails; with what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?} ends with {}:\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// A script in `tests/clients`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    workspace().join("tests/clients").join(name)
}
