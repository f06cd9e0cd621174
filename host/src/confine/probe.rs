//! Tries what a host must not be able to do: `gristmill __probe` confines itself as `serve` does, and
//! says of each act whether it was refused. For tests; it leaves nothing behind.

use std::fs::{self, File, OpenOptions};
use std::io;
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
/// a file `file`.
#[must_use]
pub fn acts(config: &Config, outside: &Path) -> Vec<Act> {
    let data = &config.host.data_dir;
    let handlers = &config.host.handlers;
    let file = outside.join("file");
    let made = outside.join("made");
    let own = data.join("probe");
    let moved = data.join("probe-moved");
    let act = |what: &str, needed: bool, ended: io::Result<()>| Act {
        what: what.to_owned(),
        needed,
        ended,
    };
    vec![
        act("write in the data folder", true, fs::write(&own, "x")),
        act("rename in the data folder", true, fs::rename(&own, &moved)),
        act("link in the data folder", true, fs::hard_link(&moved, &own)),
        act(
            "remove in the data folder",
            true,
            fs::remove_file(&own).and_then(|()| fs::remove_file(&moved)),
        ),
        act("list the handlers", true, fs::read_dir(handlers).map(drop)),
        act("read the configuration", true, read(&config.source)),
        act("run itself", true, run_itself()),
        act("make a file", false, File::create(&made).map(drop)),
        act("make a folder", false, fs::create_dir(&made)),
        act("make a link", false, std::os::unix::fs::symlink("/", &made)),
        act(
            "make a socket",
            false,
            std::os::unix::net::UnixListener::bind(&made).map(drop),
        ),
        act("append to a file", false, append(&file)),
        act("cut a file", false, File::create(&file).map(drop)),
        act("remove a file", false, fs::remove_file(&file)),
        act("rename a file", false, fs::rename(&file, &made)),
        act(
            "take a file into the data folder",
            false,
            fs::rename(&file, &own),
        ),
        act(
            "link a file into the data folder",
            false,
            fs::hard_link(&file, &own),
        ),
        act("read a file", false, read(&file)),
        act("list a folder", false, fs::read_dir(outside).map(drop)),
        act("read the users", false, read(Path::new("/etc/passwd"))),
        act(
            "read another process",
            false,
            read(Path::new("/proc/1/status")),
        ),
        act(
            "write a module",
            false,
            fs::write(handlers.join("probe.wasm"), "x"),
        ),
        act("write the configuration", false, append(&config.source)),
        act(
            "run a shell",
            false,
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
