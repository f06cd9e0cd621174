//! From nothing to a handler that serves, as the documents tell it: in each language the commands that
//! `gristmill new` prints are run, and the project greets whom it is told to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill_tests::toolchains::{self, Native};
use gristmill_tests::{Host, cargo, kept};
use serde_json::Value;

/// A project, its tests and its build being through.
struct Made {
    folder: PathBuf,
    /// The message that one is told to send.
    sample: String,
    _outside: Host,
}

/// Makes a project, gets it what it needs, and runs its tests and its build as they are printed.
fn made(
    lang: &str,
    prepare: impl FnOnce(&Path) -> Option<()>,
    surroundings: impl Fn(&mut Command),
) -> Option<Made> {
    let outside = Host::new("", &[]).unwrap();
    let project = outside
        .json(&["new", "my-greeter", "--lang", lang])
        .unwrap();
    let folder = outside.folder().join("my-greeter");
    prepare(&folder)?;
    let steps = project["steps"].as_array().unwrap().iter();
    for step in steps.filter_map(Value::as_str).filter(is_run) {
        let mut shell = Command::new("sh");
        shell.args(["-c", step]).current_dir(&folder);
        surroundings(&mut shell);
        let output = shell.output().unwrap();
        assert!(
            output.status.success(),
            "{lang}: `{step}`: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Some(Made {
        folder,
        sample: project["sample"].as_str().unwrap().to_owned(),
        _outside: outside,
    })
}

/// What fetches a compiler, or packages, is not run: the tests have them.
fn is_run(step: &&str) -> bool {
    !step.contains("pip install") && !step.contains("npm install")
}

/// Serves the project; one message is greeted, and one with nobody in it is rejected.
fn greets(made: &Made, bad: &str) {
    let config = fs::read_to_string(made.folder.join("gristmill.toml")).unwrap();
    let mut host = Host::at(&made.folder, &config, &[]).unwrap();
    host.start().unwrap();
    host.send("my-greeter", &made.sample).unwrap();
    host.send("my-greeter", bad).unwrap();
    host.wait_settled(&["my-greeter"]).unwrap();
    let greetings = host.done(&["peek", "my-greeter-greetings"]).unwrap();
    assert!(greetings.contains("Hello, Ada!"), "{greetings}");
    let dead = host.dead("my-greeter").unwrap();
    let why = dead[0]["error"].as_str().unwrap_or_default();
    assert!(why.contains("there is nobody to greet"), "{why}");
    assert_eq!((dead.len(), host.stop().unwrap()), (1, Some(0)));
}

const NOBODY: &str = r#"{"name":""}"#;

/// Cargo as its owner would run it.
fn plain_cargo(shell: &mut Command) {
    let known = cargo();
    let program = Path::new(known.get_program());
    if let Some(folder) = program.parent().filter(|folder| folder.is_absolute()) {
        first_in_path(shell, folder);
    }
    for variable in [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        shell.env_remove(variable);
    }
}

fn first_in_path(shell: &mut Command, folder: &Path) {
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{path}", folder.display()));
}

#[test]
fn a_new_project_builds_and_serves() {
    // What it depends on is built once and found again by the next run.
    let kept = |folder: &Path| symlink(kept("new-project").unwrap(), folder.join("target")).ok();
    let made = made("rust", kept, plain_cargo).unwrap();
    greets(&made, NOBODY);
}

#[test]
fn a_new_program_builds_and_serves() {
    let kept = |folder: &Path| symlink(kept("new-program").unwrap(), folder.join("target")).ok();
    let made = made("command", kept, plain_cargo).unwrap();
    greets(&made, " ");
}

#[test]
fn a_new_project_in_javascript_serves_as_it_is() {
    let prepare = |folder: &Path| {
        toolchains::node().unwrap()?;
        let modules = folder.join("node_modules");
        fs::create_dir(&modules).unwrap();
        symlink("../vendor/gristmill", modules.join("gristmill")).ok()
    };
    if let Some(made) = made("js", prepare, |_| {}) {
        greets(&made, NOBODY);
    }
}

#[test]
fn a_new_project_in_typescript_builds_and_serves() {
    let prepare = |folder: &Path| {
        // As `npm install` would, with what the tests have.
        let node = toolchains::node().unwrap()?.join("node_modules");
        let modules = folder.join("node_modules");
        fs::create_dir(&modules).unwrap();
        for entry in fs::read_dir(node).unwrap() {
            let entry = entry.unwrap();
            symlink(entry.path(), modules.join(entry.file_name())).unwrap();
        }
        symlink("../vendor/gristmill", modules.join("gristmill")).ok()
    };
    if let Some(made) = made("ts", prepare, |_| {}) {
        greets(&made, NOBODY);
    }
}

#[test]
fn a_new_project_in_python_builds_and_serves() {
    let prepare = |folder: &Path| {
        let bin = toolchains::python().unwrap()?;
        symlink(bin.parent()?, folder.join(".venv")).ok()
    };
    if let Some(made) = made("python", prepare, |_| {}) {
        greets(&made, NOBODY);
    }
}

/// The compilers for C, C++, Zig and Go, under the names that people call them by.
fn compilers(native: &Native, folder: &Path) -> PathBuf {
    let bin = folder.join(".bin");
    fs::create_dir(&bin).unwrap();
    for (name, command) in [("zig", native.zig()), ("go", native.go())] {
        symlink(command.get_program(), bin.join(name)).unwrap();
    }
    bin
}

fn native_project_serves(lang: &str) {
    let Some(native) = toolchains::native().unwrap() else {
        return;
    };
    let bin = tempfile::tempdir().unwrap();
    let compilers = compilers(&native, bin.path());
    let made = made(
        lang,
        |_| Some(()),
        |shell| {
            first_in_path(shell, &compilers);
            for command in [native.zig(), native.go()] {
                let set = command.get_envs();
                shell.envs(set.filter_map(|(name, value)| Some((name, value?))));
            }
        },
    );
    greets(&made.unwrap(), NOBODY);
}

#[test]
fn a_new_project_in_go_builds_and_serves() {
    native_project_serves("go");
}

#[test]
fn a_new_project_in_c_builds_and_serves() {
    native_project_serves("c");
}

#[test]
fn a_new_project_in_cpp_builds_and_serves() {
    native_project_serves("cpp");
}

#[test]
fn a_new_project_in_zig_builds_and_serves() {
    native_project_serves("zig");
}
