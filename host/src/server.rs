//! The host from start to end: what is opened in which order, and closed in the reverse.
//!
//! Start: lock and open the store (which counts the start and charges suspects) → sandbox →
//! handlers → crontab → listen. Stop: tick no more → listen no more → lease no more → let handlers and open
//! requests finish → drop the rest → last commit → close. A second signal goes on to dropping at once. At any moment the process may be killed instead; that loses nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_store::{Elsewhere, OpenError, Options, Recovery, Store};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::api::Api;
use crate::auth::Access;
use crate::config::{ApiAuth, Config, SandboxConfig, SqsAuth, SqsConfig};
use crate::cron::Crontab;
use crate::dispatch::{Dispatcher, GuestThreads};
use crate::drift;
use crate::http::{self, Gate, SqsGate};
use crate::net::limits::Pace;
use crate::net::{self, Budget, Listening, Tls, TlsFiles};
use crate::queues::{Queues, read_made};
use crate::reload::{Handlers, Reloader, declarations, topic_declarations};
use crate::runtime::{CompileLimits, CompileMode, Runtime, RuntimeError, RuntimeOptions};
use crate::sqs::Sqs;

/// The process exits with this when the store failed: what was under way is unknown (`EX_IOERR`).
pub const EXIT_STORE_FAILED: i32 = 74;

/// How long a host waits for another process to let go of the data folder.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// How long a request that is being answered may take at least when the host stops.
const ANSWERS: Duration = Duration::from_millis(500);

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The sandbox cannot be set up.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The socket cannot be made.
    #[error(transparent)]
    Socket(#[from] http::BindError),
    /// Nothing can be listened to on the network.
    #[error("{key}: {source}")]
    Listen {
        /// The key that says where.
        key: &'static str,
        /// Why.
        source: net::ListenError,
    },
    /// There is no TLS.
    #[error("{table}.tls_cert: {source}")]
    Tls {
        /// The table of the listener.
        table: &'static str,
        /// Why.
        source: net::TlsError,
    },
    /// Threads or signals are not to be had.
    #[error("the host cannot start: {0}")]
    System(std::io::Error),
    /// The folder of modules or the configuration cannot be watched.
    #[error(transparent)]
    Reload(#[from] crate::reload::ReloadError),
}

/// Opens the store of a configuration, and says what was found.
///
/// # Errors
/// When it is in use, cannot be read, or is of a newer format.
pub fn open_store(config: &Config) -> Result<(Store, Recovery), OpenError> {
    let options = Options {
        queues: declarations(config),
        inline_bytes: config.host.inline_limit,
        topics: topic_declarations(config),
        read_made: Some(read_made()),
        disk_reserve: config.host.disk_reserve,
        on_fatal: Some(Box::new(|error| {
            eprintln!("error: {error}; whether what was under way was done is not known");
            // Destructors would act on what is not known to have happened.
            std::process::exit(EXIT_STORE_FAILED);
        })),
        answer_elsewhere: answer_elsewhere(),
        ..Options::default()
    };
    Store::open(&config.host.data_dir, options)
}

/// On the threads that serve, if there are any.
fn answer_elsewhere() -> Option<Elsewhere> {
    let serving = Handle::try_current().ok()?;
    Some(Box::new(move |answers| {
        serving.spawn(async move { answers() });
    }))
}

/// Sets up the sandbox of a configuration.
///
/// # Errors
/// When the engine, its pool or its cache is not to be had.
pub fn open_runtime(config: &Config) -> Result<Runtime, RuntimeError> {
    let SandboxConfig {
        pagemap_scan,
        compile_cpu,
        compile_memory,
        ..
    } = config.host.sandbox;
    let compile = match std::env::current_exe() {
        Ok(exe) => CompileMode::Child { exe },
        Err(_) => CompileMode::InProcess,
    };
    let largest = config
        .handlers
        .values()
        .map(|handler| handler.limits.memory)
        .max();
    let mut options = RuntimeOptions::new(config.host.data_dir.join("compiled"), compile);
    options.max_instances = config.host.max_in_flight;
    options.max_memory = largest.unwrap_or(0).max(options.max_memory);
    options.pagemap_scan = pagemap_scan;
    options.compile_limits = CompileLimits {
        cpu: compile_cpu,
        memory: compile_memory,
        ..CompileLimits::default()
    };
    Runtime::new(options)
}

/// Serves until a signal asks it to stop.
///
/// # Errors
/// When it cannot start. What goes wrong later is logged, and the host goes on or exits.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    // Before anything else: who asks it to stop while it starts is heard.
    let mut signals = Signals::new().map_err(ServeError::System)?;
    let (store, recovery) = open_store_soon(&config).await?;
    let queues = Queues::new(store).with_max_wait(config.host.max_wait);
    tracing::info!(
        boot = recovery.boot,
        waiting = recovery.waiting,
        pulled = recovery.pulled,
        suspects = recovery.suspects,
        quarantined = recovery.quarantined,
        "the store {} is open",
        config.host.data_dir.display()
    );
    if recovery.letters_missing > 0 {
        tracing::error!(
            letters = recovery.letters_missing,
            "the lists of dead letters are damaged, and some are in none: stop the host and see what `gristmill store check` says"
        );
    }
    if let Some(records) = recovery.verified {
        tracing::info!(
            records,
            "all of the store was verified, because it failed the last time"
        );
    }
    let ended = host(&config, &queues, &mut signals).await;
    queues.close().await;
    let _ = std::fs::remove_file(config.host.data_dir.join(http::SOCKET));
    if ended.is_ok() {
        tracing::info!("stopped; all is durable");
    }
    ended
}

/// A command that opened the store itself may have it for a moment.
async fn open_store_soon(config: &Config) -> Result<(Store, Recovery), OpenError> {
    let began = Instant::now();
    loop {
        match open_store(config) {
            Err(OpenError::InUse { .. }) if began.elapsed() < LOCK_PATIENCE => {
                tokio::time::sleep(LOCK_PATIENCE / 10).await;
            }
            opened => return opened,
        }
    }
}

async fn host(config: &Config, queues: &Queues, signals: &mut Signals) -> Result<(), ServeError> {
    // Before modules are compiled, so that what cannot be is said at once. Who connects waits.
    let network = open_network(config)?;
    let sqs = open_sqs(config)?;
    let runtime = open_runtime(config)?;
    let guests = GuestThreads::start(config.host.threads as usize).map_err(ServeError::System)?;
    let dispatcher = Dispatcher::new(queues.clone(), guests.guests());
    let handlers = Handlers::new(queues.clone(), dispatcher.clone(), runtime);
    // Compiling many modules takes long; nothing has been delivered by then.
    let reloader = tokio::select! {
        started = Reloader::start(handlers.clone(), config.clone()) => started?,
        () = signals.stop() => {
            tracing::info!("asked to stop while it started");
            return wind_up(&dispatcher, guests, Duration::ZERO, signals).await;
        }
    };
    let listener = http::bind(&config.host.data_dir)?;
    let crontab = Crontab::new(queues.clone());
    let declared = handlers.clone();
    let entries = move || declared.config().map(|config| Arc::clone(&config.cron));
    let ticking = tokio::spawn(crontab.clone().run(handlers.changes(), entries));
    let comparing = tokio::spawn(drift::watch(queues.clone()));
    let views = handlers.clone();
    let versions = handlers.clone();
    let access = Access::of(&config.host.data_dir);
    let api = Api::new(queues.clone(), Arc::new(move || views.list()))
        .with_crontab(crontab)
        .with_versions(Arc::new(move |name| {
            let known = versions.list().iter().any(|one| one.name == name);
            known.then(|| versions.versions(name))
        }))
        .with_access(access.clone());
    let remote_config = config.api.clone();
    let (stop_serving, stopped) = watch::channel(());
    let budget = Budget::default();
    let gate = Gate::of_socket(budget.clone());
    let socket = Listening::Socket(listener);
    let local = http::serve_at(socket, api.clone(), gate, ended(stopped.clone()));
    let sqs = sqs.map(|(listening, config)| {
        let gate = SqsGate::new(config.auth, access.clone(), budget.clone());
        let sqs = Sqs::new(queues.clone(), config);
        http::serve_sqs_until(listening, sqs, gate, ended(stopped.clone()))
    });
    let remote = async move {
        if let Some(listening) = network {
            let gate = Gate::of_network(&remote_config, access, budget);
            http::serve_at(listening, api, gate, ended(stopped)).await;
        }
    };
    let sqs = async move {
        if let Some(serving) = sqs {
            serving.await;
        }
    };
    let mut served = tokio::spawn(async { tokio::join!(local, remote, sqs) });
    tracing::info!("serving {} queues; stop with Ctrl-C", config.queues.len());
    while let Signal::Reload = signals.next().await {
        reloader.reload_config().await;
    }
    let patience = handlers
        .config()
        .map_or(config.host.shutdown_timeout, |now| {
            now.host.shutdown_timeout
        });
    tracing::info!(
        "stopping: {} deliveries finish, at most {patience:?}",
        dispatcher.running()
    );
    ticking.abort();
    comparing.abort();
    reloader.stop();
    drop(stop_serving);
    let began = Instant::now();
    wind_up(&dispatcher, guests, patience, signals).await?;
    queues.end_waits();
    // What is being answered had as long as the deliveries; what they did is in it.
    let patience = patience.saturating_sub(began.elapsed()).max(ANSWERS);
    let ended = tokio::select! {
        ended = tokio::time::timeout(patience, &mut served) => ended.is_ok(),
        () = signals.stop() => false,
    };
    if !ended {
        tracing::warn!("requests were still open; they are cut off");
        served.abort();
    }
    Ok(())
}

/// Listens for the SQS endpoint, if there is to be one.
fn open_sqs(config: &Config) -> Result<Option<(Listening, SqsConfig)>, ServeError> {
    let Some(mut sqs) = config.sqs.clone() else {
        return Ok(None);
    };
    net::raise_descriptors();
    let tls = open_tls("sqs", sqs.tls.as_ref())?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let listener = listen("sqs.listen", sqs.listen)?;
    // Port 0 is any that is free.
    sqs.listen = listener.local_addr().unwrap_or(sqs.listen);
    let wanted = match sqs.auth {
        SqsAuth::None => "signatures are not looked at",
        SqsAuth::Sigv4 => "requests have to be signed",
    };
    tracing::info!(
        "the SQS endpoint listens at {scheme}://{} ({wanted})",
        sqs.listen
    );
    let listening = Listening::Network {
        listener,
        tls,
        most: http::limits::MAX_SQS_CONNECTIONS,
        pace: Pace {
            head: http::limits::SQS_IDLE,
            ..Pace::default()
        },
    };
    Ok(Some((listening, sqs)))
}

fn open_tls(table: &'static str, files: Option<&TlsFiles>) -> Result<Option<Tls>, ServeError> {
    let opened = files.cloned().map(Tls::open).transpose();
    opened.map_err(|source| ServeError::Tls { table, source })
}

fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    net::listen(address).map_err(|source| ServeError::Listen { key, source })
}

/// Listens on the network, if the configuration says so.
fn open_network(config: &Config) -> Result<Option<Listening>, ServeError> {
    let api = &config.api;
    let Some(address) = api.listen else {
        return Ok(None);
    };
    net::raise_descriptors();
    let tls = open_tls("api", api.tls.as_ref())?;
    let listener = listen("api.listen", address)?;
    let address = listener.local_addr().unwrap_or(address);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let wanted = match api.auth {
        ApiAuth::None => "no token is wanted",
        ApiAuth::Token => "a token is wanted",
    };
    tracing::info!("the API listens at {scheme}://{address}; {wanted}");
    Ok(Some(Listening::Network {
        listener,
        tls,
        most: api.max_connections as usize,
        pace: Pace::default(),
    }))
}

/// Ready when the sender is gone.
async fn ended(mut stop: watch::Receiver<()>) {
    while stop.changed().await.is_ok() {}
}

/// Leases nothing more, lets running deliveries finish, and drops those that do not. Asked once more, it
/// drops them at once.
async fn wind_up(
    dispatcher: &Dispatcher,
    guests: GuestThreads,
    patience: Duration,
    signals: &mut Signals,
) -> Result<(), ServeError> {
    tokio::select! {
        drained = dispatcher.stop(patience) => if !drained {
            tracing::warn!("{} deliveries did not finish in time and are handed back", dispatcher.running());
        },
        () = signals.stop() => tracing::warn!("asked again: {} deliveries are handed back", dispatcher.running()),
    }
    // Dropping a delivery frees its instance; its lease ends with this start of the host, uncounted.
    guests.stop().await;
    tracing::debug!("no handler runs any more");
    Ok(())
}

enum Signal {
    Reload,
    Stop,
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    async fn stop(&mut self) {
        while let Signal::Reload = self.next().await {}
    }
}
