//! The binary and the modules, each built once for a test run.
//!
//! Cargo itself decides whether there is anything to build, so what is tested is never stale.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

const TARGET: &str = "wasm32-wasip2";
/// What programs are built for as well: they become core modules.
const PREVIEW_1: &str = "wasm32-wasip1";
/// The package of `handlers/` that is a program.
const PROGRAM: &str = "command";

/// The packages of `handlers/`, each of which becomes a module of its name.
const PACKAGES: [&str; 11] = [
    "bench",
    "command",
    "misbehave",
    "orders",
    "postbox",
    "probe",
    "sink",
    "tally",
    "thumbnail",
    "totals",
    "webhook",
];

/// The modules that were built.
#[derive(Clone, Debug)]
pub struct Guests(PathBuf);

impl Guests {
    /// The module of this package.
    #[must_use]
    pub fn path(&self, package: &str) -> PathBuf {
        self.0.join(package).with_extension("wasm")
    }

    /// The command that builds a module anew, for people to type.
    #[must_use]
    pub fn command(&self, package: &str) -> String {
        let target = self.0.ancestors().nth(2).unwrap_or(&self.0);
        let target = target.strip_prefix(workspace()).unwrap_or(target);
        format!(
            "cargo build --target {TARGET} --profile handler --target-dir {} -p {package}",
            target.display()
        )
    }
}

/// The root of this repository.
#[must_use]
pub fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// What was built, as version control names it; with `-dirty` if something was changed since.
#[must_use]
pub fn commit() -> String {
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(workspace())
        .output();
    match git {
        Ok(git) if git.status.success() => String::from_utf8_lossy(&git.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// The `gristmill` that belongs to the running executable, built if need be.
///
/// # Errors
/// When it does not build.
pub fn gristmill() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&BUILT, || {
        let folder = profile_folder()?;
        let mut build = cargo();
        build.args(["build", "--package", "gristmill", "--bin", "gristmill"]);
        if folder.file_name() == Some(OsStr::new("release")) {
            build.arg("--release");
        }
        let target = folder.parent().context("a target folder")?;
        build.arg("--target-dir").arg(target);
        run(build, "the program does not build")?;
        Ok(folder.join("gristmill"))
    })
    .map(PathBuf::as_path)
}

/// A folder beside the running executable, for what a test run may keep from the one before.
///
/// # Errors
/// When it cannot be made.
pub fn kept(name: &str) -> Result<PathBuf> {
    let folder = profile_folder()?.join("kept-by-tests").join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// All modules, built if need be; also installs the target of the compiler that they need.
///
/// # Errors
/// When they do not build.
pub fn guests() -> Result<&'static Guests> {
    static BUILT: OnceLock<Result<Guests, String>> = OnceLock::new();
    once(&BUILT, || {
        install_target(TARGET)?;
        let folder = profile_folder()?;
        let target = folder.parent().context("a target folder")?.join("guests");
        let mut build = cargo();
        build.args(["build", "--target", TARGET, "--profile", "handler"]);
        build.arg("--target-dir").arg(&target);
        for package in PACKAGES {
            build.args(["--package", package]);
        }
        // They would replace the flags that the workspace sets for modules.
        build.env_remove("RUSTFLAGS");
        build.env_remove("CARGO_ENCODED_RUSTFLAGS");
        run(build, "the example handlers do not build")?;
        Ok(Guests(target.join(TARGET).join("handler")))
    })
}

/// The example that is a program, as a core module of WASI preview 1.
///
/// # Errors
/// When it does not build.
pub fn program() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&BUILT, || {
        install_target(PREVIEW_1)?;
        let folder = profile_folder()?;
        let target = folder.parent().context("a target folder")?.join("guests");
        let mut build = cargo();
        build.args(["build", "--target", PREVIEW_1, "--profile", "handler"]);
        build.arg("--target-dir").arg(&target);
        build.args(["--package", PROGRAM]);
        build.env_remove("RUSTFLAGS");
        build.env_remove("CARGO_ENCODED_RUSTFLAGS");
        run(build, "the example program does not build")?;
        let module = target.join(PREVIEW_1).join("handler").join(PROGRAM);
        Ok(module.with_extension("wasm"))
    })
    .map(PathBuf::as_path)
}

fn once<T>(
    cell: &'static OnceLock<Result<T, String>>,
    build: impl FnOnce() -> Result<T>,
) -> Result<&'static T> {
    let built = cell.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// `target/debug`, or the like: the folder of the running executable, without `deps`.
fn profile_folder() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let folder = exe.parent().context("an executable is in a folder")?;
    if folder.file_name() == Some(OsStr::new("deps")) {
        return Ok(folder.parent().context("a target folder")?.to_owned());
    }
    Ok(folder.to_owned())
}

/// The Cargo that runs this, in the root of the repository.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).stdin(Stdio::null());
    // Colour and progress are Cargo's own; it says nothing when there is nothing to do.
    if std::env::var_os("CARGO_TERM_QUIET").is_none() {
        cargo.env("CARGO_TERM_QUIET", "false");
    }
    cargo
}

fn run(mut command: Command, failed: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{} cannot be run", command.get_program().display()))?;
    ensure!(status.success(), "{failed}: the compiler says why above");
    Ok(())
}

/// Asks for the target only where it is missing: rustup may not be there, or not be allowed to.
fn install_target(target: &str) -> Result<()> {
    let mut sysroot = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    sysroot
        .current_dir(workspace())
        .args(["--print", "target-libdir", "--target", target]);
    let output = sysroot.output().context("rustc cannot be run")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.current_dir(workspace()).args(["target", "add", target]);
    match add.status() {
        Ok(status) if status.success() => Ok(()),
        _ => bail!(
            "the compiler cannot build for {target}: run `rustup target add {target}` in the \
             repository, or install the standard library for that target in another way"
        ),
    }
}
