//! The cache of compiled code: a private directory, and files that are never changed in place.
//!
//! `<sha256 of the module>-<engine>.cwasm` is the code, and the `.sum` beside it its hash. A file is
//! written under another name, synced and renamed: running code is mapped from it. `.head` is what the
//! next JavaScript file need not compile again (`head_start`), behind its own hash.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module, Precompiled};

use super::RuntimeError;
use super::compile::{Code, Compiled};
use super::load::hex;
use super::{head_start, javascript};

/// Files kept; the least recently used go first.
const MAX_CACHED: usize = 1024;
/// Bytes of a hash.
const HASH: usize = 32;
/// Head starts kept: that of this host, and of another version that is tried beside it.
const MAX_HEADS: usize = 2;
/// How the names of unfinished files begin.
const UNFINISHED: &str = ".new-";
/// Unfinished files older than this were left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The directory.
pub(super) struct Cache {
    dir: PathBuf,
    unfinished: AtomicU64,
}

impl Cache {
    /// Makes the directory if need be, and sees to it that it is private.
    pub(super) fn open(dir: PathBuf) -> Result<Self, RuntimeError> {
        if let Err(problem) = private_dir(&dir) {
            return Err(RuntimeError::CacheDir { path: dir, problem });
        }
        remove_abandoned(&dir);
        Ok(Cache {
            dir,
            unfinished: AtomicU64::new(0),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the code of the module with this hash lies, for this engine.
    pub(super) fn path(&self, engine: &Engine, hash: &str) -> PathBuf {
        self.dir.join(format!("{hash}-{}.cwasm", fit(engine)))
    }

    /// A name for a file in the making.
    pub(super) fn unfinished(&self) -> Unfinished {
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        Unfinished(self.dir.join(format!("{UNFINISHED}{process}-{number}")))
    }

    /// Gives a finished file its name, with its hash beside it.
    pub(super) fn publish(&self, finished: &Path, path: &Path) -> io::Result<()> {
        let sum = Unfinished(finished.with_extension("sum"));
        write_new(&sum.0, file_hash(finished)?.as_bytes())?;
        fs::rename(&sum.0, sum_path(path))?;
        fs::rename(finished, path)?;
        File::open(&self.dir)?.sync_all()?;
        self.forget(path, "cwasm", MAX_CACHED);
        Ok(())
    }

    /// Where what the next JavaScript file need not compile again lies, for this engine.
    pub(super) fn head_path(&self, engine: &Engine) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(head_start::VERSION);
        hash.update(javascript::engine_hash());
        self.dir
            .join(format!("{}-{}.head", hex(&hash.finalize()), fit(engine)))
    }

    /// What is kept there; empty if there is nothing, or if it is damaged and will be made anew.
    pub(super) fn head(&self, engine: &Engine) -> Vec<u8> {
        let path = self.head_path(engine);
        let Ok(mut bytes) = fs::read(&path) else {
            return Vec::new();
        };
        let whole = bytes
            .split_first_chunk::<HASH>()
            .is_some_and(|(sum, head)| Sha256::digest(head).as_slice() == sum);
        if !whole {
            tracing::warn!(path = %path.display(), "the head start of JavaScript is damaged and is made anew");
            let _ = fs::remove_file(&path);
            return Vec::new();
        }
        bytes.drain(..HASH);
        bytes
    }

    /// Keeps it, in the place of what was there.
    pub(super) fn keep_head(&self, engine: &Engine, head: &[u8]) -> io::Result<()> {
        let unfinished = self.unfinished();
        let mut file = create(&unfinished.0)?;
        file.write_all(&Sha256::digest(head))?;
        file.write_all(head)?;
        file.sync_all()?;
        let path = self.head_path(engine);
        fs::rename(&unfinished.0, &path)?;
        self.forget(&path, "head", MAX_HEADS);
        Ok(())
    }

    /// Removes the oldest files with this ending if there are too many. Code that is mapped stays
    /// mapped.
    fn forget(&self, keep: &Path, ending: &str, most: usize) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let written = path.metadata().ok()?.modified().ok()?;
                let is_one = path.extension().is_some_and(|ext| ext == ending);
                (is_one && path != keep).then_some((written, path))
            })
            .collect();
        files.sort();
        let surplus = (files.len() + 1).saturating_sub(most);
        for (_, path) in files.into_iter().take(surplus) {
            // A file that stays is only a waste of room.
            let _ = fs::remove_file(sum_path(&path));
            let _ = fs::remove_file(path);
        }
    }
}

/// A file that goes away with the value, unless it was renamed.
pub(super) struct Unfinished(pub(super) PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is gone already if it was renamed.
        let _ = fs::remove_file(&self.0);
    }
}

fn private_dir(dir: &Path) -> Result<(), String> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(|error| error.to_string())?;
    let found = fs::metadata(dir).map_err(|error| error.to_string())?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(
            "it belongs to another user: remove it, or choose another directory".to_owned(),
        );
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn remove_abandoned(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let unfinished = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(UNFINISHED.as_bytes());
        let written = entry.metadata().and_then(|found| found.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        if unfinished && age.is_some_and(|age| age > ABANDONED) {
            // A file that stays is only a waste of room.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What code has to match to run on this engine: wasmtime's version, its settings, the CPU.
fn fit(engine: &Engine) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn finish(&self) -> u64 {
            let digest: [u8; 32] = self.0.clone().finalize().into();
            u64::from_be_bytes(digest[..8].try_into().unwrap_or_default())
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    format!("{:016x}", sha.finish())
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Cuts off what a child left behind the code, and returns it.
pub(super) fn cut_tail(file: &mut File) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    let mut number = [0; 8];
    let end = size
        .checked_sub(number.len() as u64)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    file.read_exact_at(&mut number, end)?;
    let tail = u64::from_le_bytes(number);
    let code = end
        .checked_sub(tail)
        .filter(|_| tail <= head_start::MAX as u64)
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = vec![0; usize::try_from(tail).unwrap_or_default()];
    file.read_exact_at(&mut bytes, code)?;
    file.set_len(code)?;
    Ok(bytes)
}

pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sum_path(path: &Path) -> PathBuf {
    path.with_extension("sum")
}

fn file_hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Has it kept longer than what is not used any more.
fn touch(path: &Path) {
    // If that fails it is only made anew sooner than it needs to be.
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// The code in the cache, if it is whole and fits.
pub(super) fn read(engine: &Engine, path: &Path) -> Option<Compiled> {
    let sum = fs::read_to_string(sum_path(path)).ok()?;
    let whole = file_hash(path).is_ok_and(|found| found == sum);
    let compiled = whole.then(|| map(engine, path));
    match compiled {
        Some(Ok(compiled)) => {
            touch(path);
            Some(compiled)
        }
        Some(Err(error)) => {
            tracing::info!(path = %path.display(), error = format!("{error:#}"), "compiled code does not fit and is made anew");
            None
        }
        None => {
            if path.exists() {
                tracing::warn!(path = %path.display(), "compiled code is damaged and is made anew");
            }
            None
        }
    }
}

/// The code that evaluates programs, which this process was handed by the host that kept it.
pub(super) fn evaluator(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    match load(engine, At::Bytes(code))? {
        Code::Component(component) => Ok(component),
        Code::Module(_) => Err(wasmtime::Error::msg("it is a core module")),
    }
}

/// Maps compiled code.
pub(super) fn map(engine: &Engine, path: &Path) -> wasmtime::Result<Compiled> {
    Ok(Compiled {
        size: fs::metadata(path)?.len(),
        code: load(engine, At::Path(path))?,
        time: None,
    })
}

/// Where compiled code is.
#[derive(Clone, Copy)]
enum At<'c> {
    Path(&'c Path),
    Bytes(&'c [u8]),
}

#[expect(
    unsafe_code,
    reason = "wasmtime has to trust what it maps: the file lies in a directory that only this \
              user can write to, was made there by this program's own compiler, is checked against \
              its hash, and is never changed in place; bytes come from such a file, or were made by \
              this process"
)]
fn load(engine: &Engine, at: At<'_>) -> wasmtime::Result<Code> {
    // SAFETY: see the reason above; nothing else is ever passed to this function.
    unsafe {
        Ok(match at {
            At::Path(path) => match Engine::detect_precompiled_file(path)? {
                Some(Precompiled::Module) => Code::Module(Module::deserialize_file(engine, path)?),
                _ => Code::Component(Component::deserialize_file(engine, path)?),
            },
            At::Bytes(code) => Code::Component(Component::deserialize(engine, code)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("compiled")).unwrap();
        let path = |name: &str| cache.dir().join(format!("{name}.cwasm"));
        for (age, name) in ["new", "second", "first"].into_iter().enumerate() {
            write_new(&path(name), b"code").unwrap();
            write_new(&sum_path(&path(name)), b"sum").unwrap();
            let written = SystemTime::now() - Duration::from_secs(100 * (1 + age as u64));
            let file = File::open(path(name)).unwrap();
            file.set_modified(written).unwrap();
        }
        touch(&path("first"));
        cache.forget(&path("new"), "cwasm", 2);
        assert!(path("new").exists() && path("first").exists());
        assert!(!path("second").exists() && !sum_path(&path("second")).exists());
    }
}
