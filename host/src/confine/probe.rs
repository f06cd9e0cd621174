//! Tries what a host must not be able to do: `gristmill __probe` confines itself as `serve` does, and
//! says of each act whether it was refused. For tests.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::Config;

/// An act, and how it ended.
#[derive(Debug)]
pub struct Act {
    /// What was tried.
    pub what: String,
    /// Whether a host needs it.
    pub needed: bool,
    /// How it ended.
    pub ended: io::Result<()>,
}

/// Tries everything. `outside` is a folder that this user may write to and the host may not touch; it has
/// the [`FILES`].
#[must_use]
pub fn acts(config: &Config, outside: &Path) -> Vec<Act> {
    let mut acts = needed(config);
    acts.extend(forbidden(config, outside));
    acts
}

/// The files that have to be in the folder outside.
pub const FILES: [&str; 7] = ["append", "cut", "remove", "rename", "take", "link", "read"];

fn act(what: &str, needed: bool, ended: io::Result<()>) -> Act {
    Act {
        what: what.to_owned(),
        needed,
        ended,
    }
}

fn needed(config: &Config) -> Vec<Act> {
    let data = &config.host.data_dir;
    let (own, moved) = (data.join("probe"), data.join("probe-moved"));
    let act = |what, ended| act(what, true, ended);
    vec![
        act("write in the data folder", fs::write(&own, "x")),
        act("rename in the data folder", fs::rename(&own, &moved)),
        act("link in the data folder", fs::hard_link(&moved, &own)),
        act(
            "remove in the data folder",
            fs::remove_file(&own).and_then(|()| fs::remove_file(&moved)),
        ),
        act(
            "list the handlers",
            fs::read_dir(&config.host.handlers).map(drop),
        ),
        act("read the configuration", read(&config.source)),
        act("run itself", run_itself()),
    ]
}

fn forbidden(config: &Config, outside: &Path) -> Vec<Act> {
    let at = |name: &str| outside.join(name);
    let data = &config.host.data_dir;
    let act = |what, ended| act(what, false, ended);
    vec![
        act("make a file", File::create(at("a file")).map(drop)),
        act("make a folder", fs::create_dir(at("a folder"))),
        act("make a link", symlink("/", at("a link"))),
        act(
            "make a socket",
            UnixListener::bind(at("a socket")).map(drop),
        ),
        act("append to a file", append(&at("append"))),
        act("cut a file", File::create(at("cut")).map(drop)),
        act("remove a file", fs::remove_file(at("remove"))),
        act("rename a file", fs::rename(at("rename"), at("renamed"))),
        act(
            "take a file away",
            fs::rename(at("take"), data.join("took")),
        ),
        act(
            "link to a file",
            fs::hard_link(at("link"), data.join("linked")),
        ),
        act("read a file", read(&at("read"))),
        act("list a folder", fs::read_dir(outside).map(drop)),
        act("read the users", read(Path::new("/etc/passwd"))),
        act("read another process", read(Path::new("/proc/1/status"))),
        act(
            "write a module",
            fs::write(config.host.handlers.join("probe.wasm"), "x"),
        ),
        act("write the configuration", append(&config.source)),
        act(
            "run a shell",
            run(Command::new("/bin/sh").args(["-c", "exit 0"])),
        ),
    ]
}

fn read(path: &Path) -> io::Result<()> {
    File::open(path).map(drop)
}

fn append(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path).map(drop)
}

fn run_itself() -> io::Result<()> {
    run(Command::new(std::env::current_exe()?).arg("--version"))
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(status.to_string()))
}
