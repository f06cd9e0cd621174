//! Compilers of other languages, set up once for a test run, and the modules they make.
//!
//! They go into `target/toolchains`, in the versions that `tests/toolchains` pins. On a machine without
//! Python or npm, or without their registries, the tests that need them say SKIP and why; with `CI=1` or
//! `GRISTMILL_CLIENTS=required` that is a failure. A module is built anew when what it is made of changed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};

use crate::clients::{available, run, set_up_node, set_up_python};
use crate::workspace;

/// Where all of it lies, in `target`.
const TOOLCHAINS: &str = "toolchains";
/// Folders of what is built: no part of what a module is made of.
const BUILT: [&str; 4] = ["node_modules", "__pycache__", "target", ".zig-cache"];

/// The folder of the versions.
fn versions() -> PathBuf {
    workspace().join("tests").join(TOOLCHAINS)
}

/// A folder with `node_modules` that has esbuild, componentize-qjs, typescript and assemblyscript; `None`,
/// and a line that says why, if Node is not to be had here.
///
/// # Errors
/// When it has to be there, and is not.
pub fn node() -> Result<Option<PathBuf>> {
    available("compilers from npm", || {
        set_up_node(TOOLCHAINS, &versions())
    })
}

/// The folder of programs of an environment of Python that has componentize-py; `None`, and a line that
/// says why, if Python is not to be had here.
///
/// # Errors
/// When it has to be there, and is not.
pub fn python() -> Result<Option<PathBuf>> {
    available("compilers for Python", || {
        Ok(set_up_python(TOOLCHAINS, &versions().join("python.txt"))?.join("bin"))
    })
}

/// The compilers for C, C++, Zig and Go.
#[derive(Clone, Debug)]
pub struct Native(PathBuf);

impl Native {
    /// `zig`, which is also `zig cc` and `zig c++`. It keeps what it compiled in `target/toolchains`.
    #[must_use]
    pub fn zig(&self) -> Command {
        let mut zig = Command::new(self.0.join("bin/python-zig"));
        let kept = self.0.with_file_name("zig-cache");
        zig.env("ZIG_GLOBAL_CACHE_DIR", &kept);
        zig.env("ZIG_LOCAL_CACHE_DIR", &kept);
        zig
    }

    /// `go`, which fetches nothing: neither modules nor another version of itself.
    #[must_use]
    pub fn go(&self) -> Command {
        let mut go = Command::new(self.0.join("bin/go"));
        go.env("GOCACHE", self.0.with_file_name("go-cache"));
        go.env("GOPATH", self.0.with_file_name("go-path"));
        go.envs([
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
            ("GOFLAGS", ""),
        ]);
        go
    }
}

/// The compilers for C, C++, Zig and Go; `None`, and a line that says why, if Python, which brings them, is
/// not to be had here.
///
/// # Errors
/// When they have to be there, and are not.
pub fn native() -> Result<Option<Native>> {
    available("compilers for C, C++, Zig and Go", || {
        let folder = set_up_python(TOOLCHAINS, &versions().join("native.txt"))?;
        Ok(Native(folder))
    })
}

/// A module of this name, built by a function that writes it to the path it is given, unless that was done
/// from the same inputs. They are files and folders of the repository.
///
/// # Errors
/// When it does not build.
pub fn module(
    name: &str,
    inputs: &[&str],
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let folder = workspace().join("target").join(TOOLCHAINS).join("modules");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join(format!("{name}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let module = folder.join(format!("{name}.wasm"));
    let stamp = folder.join(format!("{name}.inputs"));
    let wanted = format!("{:016x}", hash(inputs)?);
    if module.is_file() && fs::read_to_string(&stamp).is_ok_and(|built| built == wanted) {
        return Ok(module);
    }
    let unfinished = folder.join(format!("{name}.new.wasm"));
    build(&unfinished).with_context(|| format!("the module {name} does not build"))?;
    fs::rename(&unfinished, &module)?;
    fs::write(stamp, wanted)?;
    Ok(module)
}

/// Of all files of the inputs, and of the versions of the compilers.
fn hash(inputs: &[&str]) -> Result<u64> {
    let mut files = BTreeMap::new();
    read(&versions(), &mut files)?;
    for input in inputs {
        read(&workspace().join(input), &mut files)?;
    }
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    Ok(hasher.finish())
}

fn read(path: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    if !path.is_dir() {
        let content = fs::read(path).with_context(|| path.display().to_string())?;
        files.insert(path.to_owned(), content);
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if !BUILT
            .iter()
            .any(|built| path.file_name() == Some(OsStr::new(built)))
        {
            read(&path, files)?;
        }
    }
    Ok(())
}

/// A module of a file in JavaScript or TypeScript, by the build of the SDK; `None` if Node is not to be had
/// here.
///
/// # Errors
/// When it does not build.
pub fn javascript(name: &str, file: &str) -> Result<Option<PathBuf>> {
    let Some(node) = node()? else {
        return Ok(None);
    };
    let sdk = [
        "sdk/js/src",
        "sdk/js/wit",
        "sdk/js/build.js",
        "sdk/js/lines.js",
    ];
    module(name, &[&sdk[..], &[file]].concat(), |output| {
        let mut build = Command::new("node");
        build.arg(workspace().join("sdk/js/build.js"));
        build.arg(workspace().join(file)).arg("-o").arg(output);
        run(build.current_dir(&node))
    })
    .map(Some)
}

/// A module of a file in Python, by the build of the SDK; `others` are files that it imports. `None` if Python
/// is not to be had here.
///
/// # Errors
/// When it does not build.
pub fn python_module(name: &str, file: &str, others: &[&str]) -> Result<Option<PathBuf>> {
    let Some(bin) = python()? else {
        return Ok(None);
    };
    module(
        name,
        &[&["sdk/python/src", file], others].concat(),
        |output| {
            let mut build = Command::new(bin.join("python"));
            build.args(["-m", "gristmill"]).arg(workspace().join(file));
            build.arg("-o").arg(output);
            build.env("PYTHONPATH", workspace().join("sdk/python/src"));
            build.env("PYTHONDONTWRITEBYTECODE", "1");
            run(&mut build)
        },
    )
    .map(Some)
}

/// Runs the tests of a folder of the repository in the test runner of its language.
///
/// # Errors
/// When one fails; with what was written.
pub fn own_tests(command: &mut Command, folder: &str) -> Result<()> {
    let folder = workspace().join(folder);
    ensure!(folder.is_dir(), "{} is not there", folder.display());
    run(command.current_dir(folder))
}
