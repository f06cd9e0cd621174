//! What the host itself may touch, however it is led astray: enforced by the kernel (Landlock).
//!
//! From [`confine`] on this process, its threads and its children may write in the data folder only,
//! run nothing but their own program, and read what they need: the data folder, the folder of modules,
//! that of the configuration, those of secrets and certificates, what `host.sandbox.readable` names, and a few files of
//! the system. What is open stays open. Nothing takes this back.
//!
//! It knows files, and nothing of queues or handlers. Connections are not confined here.

pub mod probe;

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, path_beneath_rules,
};
use rustix::fs::Mode;
use rustix::process::umask;

use crate::config::{Config, Confine};

/// What is asked of the kernel: the first version that knows all of writing (Linux 6.2).
const KNOWN: ABI = ABI::V3;

/// The link in the data folder that may lead elsewhere, to a folder of the same name. Whoever can write
/// in the data folder only cannot make one that leads anywhere else.
const CACHE: &str = "compiled";

/// What is read of the system: by the loader of the child that compiles, by the allocator, for zones of
/// time and for the number of cores.
const SYSTEM: [&str; 12] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/proc/self",
    "/proc/sys/vm",
    "/proc/cgroups",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
];

/// Why the host does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The kernel cannot do all of it.
    #[error(
        "host.sandbox.confine is \"required\", but this kernel does not confine the host: {0}; use Linux 6.2 or newer with Landlock, or set it to \"auto\""
    )]
    Unavailable(&'static str),
    /// The kernel refused.
    #[error(
        "the host cannot be confined: {0}; set host.sandbox.confine to \"off\" if that cannot be helped"
    )]
    Refused(#[from] RulesetError),
}

/// How far the host is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confined {
    /// In all that was asked for.
    Fully,
    /// As far as this kernel knows how to.
    Partly,
    /// Not at all: this kernel cannot.
    Unavailable,
    /// Not at all: the configuration says so.
    Off,
}

impl Confined {
    /// What is logged at the start.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Confined::Fully => "confined: writes in data_dir only, reads what it needs",
            Confined::Partly => {
                "confined in part: this kernel knows only some of Landlock (Linux 6.2 knows all)"
            }
            Confined::Unavailable => {
                "not confined: this kernel has no Landlock; handlers are sandboxed all the same"
            }
            Confined::Off => "not confined: host.sandbox.confine is off",
        }
    }
}

/// Whatever this process makes from now on is for its own user only.
pub fn keep_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Confines this process for good. Call it before any thread is started: it binds the calling one and
/// those that it starts.
///
/// # Errors
/// When the configuration requires what the kernel does not do.
pub fn confine(config: &Config) -> Result<Confined, ConfineError> {
    let wish = config.host.sandbox.confine;
    if wish == Confine::Off {
        return Ok(Confined::Off);
    }
    // It is named to the kernel below, so it has to be there; what is wrong with it says the store.
    let _ = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.host.data_dir);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(KNOWN) & !AccessFs::Execute;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(written(config), write))?
        .add_rules(path_beneath_rules(read_by(config), read))?
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(
            ["/dev/null"],
            AccessFs::ReadFile | AccessFs::WriteFile,
        ))?
        .add_rules(path_beneath_rules(["/dev/urandom"], AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(
            own_program(),
            AccessFs::ReadFile | AccessFs::Execute,
        ))?
        .restrict_self()?;
    let confined = match status.ruleset {
        RulesetStatus::FullyEnforced => Confined::Fully,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Unavailable,
    };
    match (wish, confined) {
        (Confine::Required, Confined::Partly) => Err(ConfineError::Unavailable("it is too old")),
        (Confine::Required, Confined::Unavailable) => {
            Err(ConfineError::Unavailable("it has no Landlock"))
        }
        _ => Ok(confined),
    }
}

/// The data folder, and where its cache of compiled modules is.
fn written(config: &Config) -> BTreeSet<PathBuf> {
    let data_dir = &config.host.data_dir;
    let cache = std::fs::canonicalize(data_dir.join(CACHE)).ok();
    let cache = cache.filter(|cache| cache.file_name().is_some_and(|name| name == CACHE));
    std::iter::once(data_dir.clone()).chain(cache).collect()
}

/// What the configuration has the host read.
fn read_by(config: &Config) -> BTreeSet<PathBuf> {
    let handlers = &config.host.handlers;
    let certificates = config
        .tls()
        .flat_map(|(_, tls)| [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()]);
    let files = std::iter::once(&config.source)
        .chain(&config.secret_files)
        .chain(certificates.flatten());
    let folders = files.flat_map(|file| around(file));
    let mut read: BTreeSet<PathBuf> = folders.collect();
    // One that is made later is found if the folder it is made in may be read.
    let handlers = if handlers.exists() {
        vec![handlers.clone()]
    } else {
        around(handlers)
    };
    read.extend(handlers);
    read.extend(config.host.sandbox.readable.iter().cloned());
    read
}

/// The file, and the folder in which it, or a link to it, is replaced; but never the root of all.
fn around(file: &Path) -> Vec<PathBuf> {
    let here = |folder: &Path| {
        let named = folder.as_os_str().is_empty();
        std::fs::canonicalize(if named { Path::new(".") } else { folder }).ok()
    };
    let folder = file.parent().and_then(here);
    let folder = folder.filter(|folder| folder.parent().is_some());
    std::iter::once(file.to_owned()).chain(folder).collect()
}

/// The files that this program consists of: its own, and the libraries that it is linked to.
fn own_program() -> BTreeSet<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| {
        let path = line.split_once('/')?.1;
        Some(PathBuf::from(format!("/{path}")))
    });
    mapped.chain(std::env::current_exe().ok()).collect()
}
