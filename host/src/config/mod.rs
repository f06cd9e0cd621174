//! The configuration: from the text of a TOML file to values that hold together, or to every
//! reason why they do not.
//!
//! What was typed ([`raw`]) and what is used ([`Config`]) are two types; [`check`] turns one into
//! the other. All problems of a file are found in one run, each with its place and its cure.
//! Only this room names `toml`. It does not know what is done with a limit, nor whether a module
//! exists: modules come and go while the host runs.

mod check;
mod check_api;
mod check_batch;
mod check_build;
mod check_cron;
mod check_dead;
mod check_flow;
mod check_handler;
mod check_sqs;
mod check_tls;
mod check_topic;
pub mod defaults;
mod diff;
mod fingerprint;
pub mod keys;
pub mod made;
pub mod markdown;
mod modules;
pub mod problem;
mod quantity;
mod raw;
mod secrets;
mod section;
mod spelling;
pub mod value;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::rate::Rate;
use gristmill_queue::{QueueName, QueuePolicy, TopicPolicy};
use gristmill_store::DiskReserve;
use toml::de::DeTable;

pub use check_build::{BuildConfig, BuildConfigs};
pub use diff::{ConfigChange, diff};
pub use keys::{KeyDoc, reference};
pub use modules::handler_of;
pub use problem::{ConfigErrors, Problem, Severity};

use crate::cron::CronConfigs;
use crate::dispatch::BatchLimits;
use crate::net::TlsFiles;
use crate::runtime::spec::HandlerSpec;
use problem::Problems;
use raw::RawConfig;

/// The example file: every key with its default, commented. A test keeps it true.
pub const EXAMPLE: &str = include_str!("example.toml");

/// What the host runs by.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The host itself.
    pub host: HostConfig,
    /// The API on the network.
    pub api: ApiConfig,
    /// The queues that the file declares.
    pub queues: BTreeMap<QueueName, QueueConfig>,
    /// The topics that the file declares. No queue has the name of one.
    pub topics: BTreeMap<QueueName, TopicConfig>,
    /// The handlers, by name: those that a queue names, and those that have a table.
    pub handlers: BTreeMap<String, HandlerSpec>,
    /// How modules are made, by handler. The host runs none of it.
    pub builds: BuildConfigs,
    /// The SQS endpoint, if there is to be one.
    pub sqs: Option<SqsConfig>,
    /// The entries of the crontab, by name.
    pub cron: Arc<CronConfigs>,
    /// What is probably not as it was meant.
    pub warnings: Vec<Problem>,
    /// The file all this is from.
    pub source: PathBuf,
    /// The files that secrets were read from.
    pub secret_files: Vec<PathBuf>,
}

impl Config {
    /// The files of TLS of each listener that has some, by the name of its table.
    pub fn tls(&self) -> impl Iterator<Item = (&'static str, &TlsFiles)> {
        let api = self.api.tls.iter().map(|files| ("api", files));
        let sqs = self.sqs.iter().flat_map(|sqs| &sqs.tls);
        api.chain(sqs.map(|files| ("sqs", files)))
    }
}

/// The endpoint that speaks the API of Amazon SQS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What URLs of queues begin with; the address that the client has asked unless given.
    pub public_url: Option<String>,
    /// Who is said to own the queues: twelve digits.
    pub account: String,
    /// Where they are said to be, unless a request is signed for elsewhere.
    pub region: String,
    /// Whether the waiting periods of AWS are kept.
    pub limits: SqsLimits,
    /// Who is let in.
    pub auth: SqsAuth,
    /// How it is kept private, if it is.
    pub tls: Option<TlsFiles>,
}

/// Who is let in at the SQS endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqsAuth {
    /// Everybody who can connect, whatever their requests are signed with.
    None,
    /// Whose requests are signed with an access key of this host.
    Sigv4,
}

impl SqsAuth {
    const WORDS: [(&str, SqsAuth); 2] = [("none", SqsAuth::None), ("sigv4", SqsAuth::Sigv4)];
}

/// Whether the waiting periods of AWS are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqsLimits {
    /// They are.
    Strict,
    /// They are not: whoever purges or deletes need not wait.
    Relaxed,
}

impl SqsLimits {
    const WORDS: [(&str, SqsLimits); 2] = [
        ("strict", SqsLimits::Strict),
        ("relaxed", SqsLimits::Relaxed),
    ];
}

/// The host itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// The folder of the store, the cache and the socket.
    pub data_dir: PathBuf,
    /// The folder of the modules.
    pub handlers: PathBuf,
    /// How many threads run handlers.
    pub threads: u32,
    /// How many deliveries may run at once, over all queues.
    pub max_in_flight: u32,
    /// How long running deliveries may go on after the host was asked to stop.
    pub shutdown_timeout: Duration,
    /// How often the folder of modules is read whether or not it was seen to change.
    pub scan_interval: Duration,
    /// How many earlier versions of each module are kept.
    pub keep_versions: u32,
    /// Bytes of the largest body that is kept with its message.
    pub inline_limit: u64,
    /// How long a send may take until it is durable.
    pub max_wait: Duration,
    /// How much of the disk stays free.
    pub disk_reserve: DiskReserve,
    /// How changed modules are noticed.
    pub watch: Watch,
    /// What is logged: a level, or directives as `tracing` reads them.
    pub log: String,
    /// Settings of the sandbox that no handler has a say in.
    pub sandbox: SandboxConfig,
}

/// The API on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// Where it listens, if it does.
    pub listen: Option<SocketAddr>,
    /// Who is let in.
    pub auth: ApiAuth,
    /// How it is kept private, if it is.
    pub tls: Option<TlsFiles>,
    /// How many may be connected at once.
    pub max_connections: u32,
    /// How many requests may come, of all clients together.
    pub rate: Option<Rate>,
    /// How many requests may come from one client.
    pub rate_per_client: Option<Rate>,
}

/// Who is let in over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiAuth {
    /// Everybody who can connect.
    None,
    /// Who shows a token.
    Token,
}

impl ApiAuth {
    const WORDS: [(&str, ApiAuth); 2] = [("none", ApiAuth::None), ("token", ApiAuth::Token)];
}

/// Settings of the sandbox that no handler has a say in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Whether the kernel tells which pages of an instance are to be reset.
    pub pagemap_scan: bool,
    /// CPU time for compiling one module.
    pub compile_cpu: Duration,
    /// Bytes of address space for compiling one module.
    pub compile_memory: u64,
    /// Bytes of one module file.
    pub max_module_size: u64,
    /// Whether the kernel confines the host to what it needs.
    pub confine: Confine,
    /// What else the host may read.
    pub readable: Vec<PathBuf>,
}

/// Whether the kernel confines the host to what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confine {
    /// As far as it can.
    Auto,
    /// The host does not start if it cannot.
    Required,
    /// Not at all.
    Off,
}

impl Confine {
    const WORDS: [(&str, Confine); 3] = [
        ("auto", Confine::Auto),
        ("required", Confine::Required),
        ("off", Confine::Off),
    ];
}

/// How changed modules are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// The system tells, where it can.
    Auto,
    /// The folder is read again and again.
    Poll,
}

impl Watch {
    const WORDS: [(&str, Watch); 2] = [("auto", Watch::Auto), ("poll", Watch::Poll)];
}

/// A queue that the file declares.
#[derive(Clone, Debug)]
pub struct QueueConfig {
    /// What the core needs to know of it.
    pub policy: QueuePolicy,
    /// The name of its handler, if it has one: a key of [`Config::handlers`].
    pub handler: Option<String>,
    /// How its handler gets batches, if it does.
    pub batch: Option<BatchLimits>,
    /// The line of the file that declares it.
    pub origin: usize,
}

/// Where it stands in the file makes no difference to a queue.
impl PartialEq for QueueConfig {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy && self.handler == other.handler && self.batch == other.batch
    }
}

/// A topic that the file declares.
#[derive(Clone, Debug)]
pub struct TopicConfig {
    /// What the core needs to know of it.
    pub policy: TopicPolicy,
    /// The line of the file that declares it.
    pub origin: usize,
}

/// Where it stands in the file makes no difference to a topic.
impl PartialEq for TopicConfig {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy
    }
}

/// What a configuration may depend on besides its text; arguments, so that tests can choose it.
pub struct Surroundings<'s> {
    /// The value of an environment variable, if it is set.
    pub env: &'s dyn Fn(&str) -> Option<String>,
    /// The text of a file.
    pub read: &'s dyn Fn(&Path) -> io::Result<String>,
    /// How many cores there are.
    pub cores: u32,
}

/// Reads a configuration file.
///
/// # Errors
/// When there is no such file, or when it cannot be used: with all reasons at once.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let text = secrets::read_bounded(path, defaults::MAX_FILE)
        .map_err(|error| unreadable(path, &error))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let secret_files = RefCell::new(Vec::new());
    let around = Surroundings {
        env: &|name| std::env::var(name).ok(),
        read: &|file| {
            secret_files.borrow_mut().push(file.to_owned());
            secrets::read_bounded(file, defaults::MAX_PAIR_VALUE as u64)
        },
        cores: u32::try_from(cores)
            .unwrap_or(u32::MAX)
            .clamp(defaults::THREADS.min, defaults::THREADS.max),
    };
    let config = parse(&text, path, &around)?;
    Ok(Config {
        secret_files: secret_files.take(),
        ..config
    })
}

/// Reads the text of a configuration file that lies at `path`.
///
/// # Errors
/// When it cannot be used: with all reasons at once.
pub fn parse(text: &str, path: &Path, around: &Surroundings<'_>) -> Result<Config, ConfigErrors> {
    if text.len() as u64 > defaults::MAX_FILE {
        let message = format!(
            "the configuration is larger than {} bytes",
            defaults::MAX_FILE
        );
        return Err(Problem::of_file(path, message, None).into());
    }
    // Some editors put a mark in front that is no character of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Problems::new(path, text);
    let (file, syntax) = DeTable::parse_recoverable(text);
    let raw = RawConfig::read(file.get_ref(), &mut problems);
    if !syntax.is_empty() {
        // What could not be read may be what another key refers to: nothing is held against it.
        let places: Vec<_> = syntax.iter().filter_map(toml::de::Error::span).collect();
        problems.forget_about(&places);
        for error in &syntax {
            note_syntax_error(error, &mut problems);
        }
        return Err(problems.fail());
    }
    let config = check::build(raw, path, around, &mut problems);
    let warnings = problems.finish()?;
    Ok(Config { warnings, ..config })
}

fn note_syntax_error(error: &toml::de::Error, problems: &mut Problems<'_>) {
    let place = error.span().unwrap_or(0..0);
    if error.message() == "duplicate key" {
        let cure = "a key or a table is written once: put the two together, or remove one";
        problems.error(place, "", "not TOML: written twice", cure.to_owned());
    } else {
        problems.error(place, "", format!("not TOML: {}", error.message()), None);
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigErrors {
    let (message, help) = match error.kind() {
        io::ErrorKind::NotFound => (
            format!("there is no configuration file {}", path.display()),
            Some(
                "`gristmill new` makes one with an example; two lines are enough:\n\
                 [queue.orders]\n\
                 handler = \"orders.wasm\""
                    .to_owned(),
            ),
        ),
        io::ErrorKind::InvalidData => (
            "the configuration is not text in UTF-8".to_owned(),
            Some("save it as UTF-8".to_owned()),
        ),
        _ => (format!("the configuration cannot be read: {error}"), None),
    };
    Problem::of_file(path, message, help).into()
}
