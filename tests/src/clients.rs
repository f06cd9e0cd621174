//! Programs that are not ours, set up once for a test run: Python, JavaScript and Rust with what they need.
//!
//! They go into `target/clients`. On a machine without Python or npm, or without their registries, the
//! tests that need them say so and are left out; with `CI=1` or `GRISTMILL_CLIENTS=required` that is a failure.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};

use crate::workspace;

/// One set-up at a time in this process.
static SETTING_UP: Mutex<()> = Mutex::new(());

/// Where what was set up for the clients lies, in `target`.
const CLIENTS: &str = "clients";

/// The folder of the scripts, and of what they need to have installed.
#[must_use]
pub fn scripts() -> PathBuf {
    workspace().join("tests").join("clients")
}

/// Python with the packages of a file in [`scripts`]; `None`, and a line that says why, if it is not to be
/// had here.
///
/// # Errors
/// When it has to be there, and is not.
pub fn python(requirements: &str) -> Result<Option<PathBuf>> {
    available("clients in Python", || {
        set_up_python(CLIENTS, &scripts().join(requirements))
    })
    .map(|folder| folder.map(|folder| folder.join("bin")))
}

/// An environment of Python with what a file of requirements names, in a folder of `target`.
pub(crate) fn set_up_python(root: &str, requirements: &Path) -> Result<PathBuf> {
    let stem = requirements.file_stem().context("a file of requirements")?;
    set_up(root, stem.into(), &[requirements], |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ]);
        run(pip.arg(requirements))
    })
}

/// The folder with the packages of `package.json`; `None`, and a line that says why, if Node is not to be
/// had here.
///
/// # Errors
/// When it has to be there, and is not.
pub fn node() -> Result<Option<PathBuf>> {
    available("clients in Node", || set_up_node(CLIENTS, &scripts()))
}

/// What a `package.json` names, in a folder of `target`.
pub(crate) fn set_up_node(root: &str, scripts: &Path) -> Result<PathBuf> {
    let files = ["package.json", "package-lock.json"].map(|name| scripts.join(name));
    let [manifest, lock] = &files;
    set_up(root, "node".into(), &[manifest, lock], |folder| {
        run(Command::new("node").arg("--version"))?;
        fs::create_dir_all(folder)?;
        for file in &files {
            let name = file.file_name().context("a file of npm")?;
            fs::copy(file, folder.join(name))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--silent"]);
        run(npm.current_dir(folder))
    })
}

/// The program with the AWS SDK for Rust, built. It has a lock file of its own, so that what it needs is no
/// part of the product's build.
///
/// # Errors
/// When it does not build.
pub fn rust() -> Result<PathBuf> {
    let _one = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let target = workspace().join("target").join("clients").join("rust");
    let mut build = Command::new("cargo");
    build.args(["build", "--locked", "--quiet", "--target-dir"]);
    run(build.arg(&target).current_dir(scripts().join("rust")))?;
    Ok(target.join("debug").join("sqs-client"))
}

/// Runs a client to its end, and returns what it wrote.
///
/// # Errors
/// When it fails; with what it wrote.
pub fn finish(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{} ended with {}:\n{written}{}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(written)
}

/// What was found. If nothing was, that is said, or is an error where it has to be there.
pub(crate) fn available<T>(what: &str, find: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    match find() {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_required() => Err(error.context(format!("{what} have to be there"))),
        Err(error) => {
            println!("SKIP: {what} are left out: {error:#}");
            Ok(None)
        }
    }
}

fn is_required() -> bool {
    let set = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    set("CI", "1") || set("CI", "true") || set("GRISTMILL_CLIENTS", "required")
}

/// Sets a folder up unless that was done for the same files. Processes take turns.
fn set_up(
    root: &str,
    name: OsString,
    files: &[&Path],
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let _one = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let root = workspace().join("target").join(root);
    fs::create_dir_all(&root)?;
    let lock = File::create(root.join("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let folder = root.join(name);
    let mut wanted = Vec::new();
    for file in files {
        wanted.extend(fs::read(file).with_context(|| file.display().to_string())?);
    }
    let done = folder.join("installed");
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    install(&folder)?;
    fs::write(done, wanted)?;
    Ok(folder)
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    finish(command).map(drop)
}

fn output(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_owned();
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Ok(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{} is not installed", program.display())
        }
        Err(error) => Err(error).with_context(|| program.display().to_string()),
    }
}
