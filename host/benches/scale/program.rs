//! The program as it is installed: its folder, and when it does what.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::resident::Memory;
use crate::rig::{compiled, folder};

/// A start that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often to look: what is measured takes some hundred.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

pub struct Program {
    folder: TempDir,
    child: Option<Child>,
}

impl Program {
    /// A folder without a store, configuration or modules.
    pub fn new() -> Self {
        let folder = folder();
        let program = Program {
            folder,
            child: None,
        };
        fs::create_dir(program.folder.path().join("handlers")).unwrap();
        fs::create_dir(program.data()).unwrap();
        // A host may touch nothing outside of its folder, so a link to the directory would not do.
        link_all(&compiled(), &program.compiled());
        program
    }

    fn compiled(&self) -> PathBuf {
        self.data().join("compiled")
    }

    /// Keeps what it compiled for the next run.
    pub fn keep_compiled(&self) {
        link_all(&self.compiled(), &compiled());
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("gristmill-data")
    }

    pub fn configure(&self, config: &str) {
        fs::write(self.folder.path().join("gristmill.toml"), config).unwrap();
    }

    pub fn install(&self, name: &str, module: &[u8]) {
        let path = Path::new("handlers").join(name).with_extension("wasm");
        fs::write(self.folder.path().join(path), module).unwrap();
    }

    /// Starts it, and returns at the moment before.
    pub fn start(&mut self) -> Instant {
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_gristmill"))
            .arg("serve")
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        began
    }

    /// Waits until an answer to this path is a success and has this in it. Says how long after `began`.
    pub fn wait(&mut self, began: Instant, path: &str, has: impl Fn(&str) -> bool) -> f64 {
        loop {
            let answer = self.get(path);
            if answer.is_some_and(|answer| answer.starts_with("HTTP/1.1 200") && has(&answer)) {
                return began.elapsed().as_secs_f64() * 1000.0;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the program ended: {ended:?}");
            assert!(began.elapsed() < PATIENCE, "{path} does not come");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.data().join("gristmill.sock")).ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: gristmill\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub fn memory(&self) -> Memory {
        Memory::of(&self.child.as_ref().unwrap().id().to_string())
    }

    /// Kills it, as a failing machine would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Gives all files of a directory names in another one too.
fn link_all(from: &Path, to: &Path) {
    for directory in [from, to] {
        fs::create_dir_all(directory).unwrap();
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = to.join(entry.file_name());
        if !name.exists() {
            fs::hard_link(entry.path(), name).unwrap();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // What does not run any more cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
