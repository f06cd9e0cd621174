//! The two ways to the queues: through a running host, or into the store itself.
//!
//! Verbs do not care which. The socket is tried first; a socket at which nobody listens was left
//! behind and is no host. Then the store is opened, whose lock says whether somebody else has it.

mod backup;
mod cron;
mod dead;
mod one;
mod pull;
mod topics;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_queue::{NewMessage, QueueName};
use gristmill_store::{OpenError, PurgeStates};

use super::Global;
use super::exit::{Exit, Failure};
use crate::api::{Api, HaltedPage, Problem, QueueView, ResumeOrder, Sent, WaitingView};
use crate::config::{self, Config, ConfigErrors, defaults};
use crate::http::{Client, ConnectError, SOCKET};
use crate::queues::Queues;
use crate::server;

/// How long to wait for a host that has locked the data folder but does not listen yet, or for
/// another command to be done.
const WAIT_FOR_HOST: Duration = Duration::from_secs(3);
/// How often to look.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A way to the queues.
pub enum Door {
    /// A host runs.
    Host(Client),
    /// None runs: the store is open in this process.
    Store(Api),
}

impl Global {
    /// The configuration, with the data folder that the command line names.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        let mut config = config::load(&self.config)?;
        if let Some(folder) = &self.data_dir {
            config.host.data_dir.clone_from(folder);
        }
        Ok(config)
    }

    /// The data folder; that of a configuration that cannot be used is the default one, because a
    /// host may run there with an earlier state of the file.
    pub(in crate::cli) fn data_dir(&self, config: &Result<Config, ConfigErrors>) -> PathBuf {
        match (config, &self.data_dir) {
            (_, Some(folder)) => folder.clone(),
            (Ok(config), None) => config.host.data_dir.clone(),
            (Err(_), None) => {
                let beside = self.config.parent().unwrap_or(Path::new(""));
                beside.join(defaults::DATA_DIR)
            }
        }
    }
}

impl Door {
    /// Opens the way that there is.
    pub async fn open(global: &Global) -> Result<Self, Failure> {
        Self::open_within(WAIT_FOR_HOST, global).await
    }

    async fn open_within(wait: Duration, global: &Global) -> Result<Self, Failure> {
        let config = global.load();
        let folder = global.data_dir(&config);
        let started = Instant::now();
        loop {
            if let Some(client) = host(&folder).await? {
                return Ok(Door::Host(client));
            }
            match &config {
                Err(errors) => return Err(errors.clone().into()),
                Ok(config) => match server::open_store(config) {
                    Ok((store, _)) => {
                        let api = Api::without_host(Queues::new(store));
                        let configs = Arc::clone(&config.cron);
                        return Ok(Door::Store(api.with_cron_configs(configs)));
                    }
                    Err(OpenError::InUse { .. }) if started.elapsed() < wait => {
                        tokio::time::sleep(LOOK_AGAIN).await;
                    }
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }

    /// The host, for verbs that make no sense without one.
    pub async fn host(global: &Global) -> Result<Client, Failure> {
        let folder = global.data_dir(&global.load());
        host(&folder).await?.ok_or_else(|| {
            Failure::new(
                Exit::NoHost,
                format!(
                    "no host runs on {}: start one with `gristmill serve`",
                    folder.display()
                ),
            )
        })
    }

    /// Closes the store, if it was opened.
    pub async fn close(self) {
        if let Door::Store(api) = self {
            api.service().close().await;
        }
    }

    /// Whether a host runs.
    pub fn is_host(&self) -> bool {
        matches!(self, Door::Host(_))
    }

    /// See [`Api::send_all`].
    pub async fn send_all(
        &self,
        queue: &QueueName,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<Sent>, Problem> {
        match self {
            Door::Host(client) => client.send_all(queue, messages).await,
            Door::Store(api) => api.send_all(queue.clone(), messages).await,
        }
    }

    /// See [`Api::queues`].
    pub async fn queues(&self) -> Result<Vec<QueueView>, Problem> {
        match self {
            Door::Host(client) => client.queues().await,
            Door::Store(api) => api.queues().await,
        }
    }

    /// See [`Api::peek`].
    pub async fn peek(&self, queue: &QueueName, limit: usize) -> Result<Vec<WaitingView>, Problem> {
        match self {
            Door::Host(client) => client.peek(queue, limit).await,
            Door::Store(api) => api.peek(queue.clone(), limit).await,
        }
    }

    /// See [`Api::purge`].
    pub async fn purge(&self, queue: &QueueName, states: PurgeStates) -> Result<u64, Problem> {
        match self {
            Door::Host(client) => client.purge(queue, states).await,
            Door::Store(api) => api.purge(queue.clone(), states).await,
        }
    }

    /// See [`Api::halted_groups`].
    pub async fn halted_groups(
        &self,
        queue: &QueueName,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<HaltedPage, Problem> {
        match self {
            Door::Host(client) => client.halted_groups(queue, cursor, limit).await,
            Door::Store(api) => api.halted_groups(queue.clone(), cursor, limit).await,
        }
    }

    /// See [`Api::resume_groups`].
    pub async fn resume_groups(
        &self,
        queue: &QueueName,
        order: ResumeOrder,
    ) -> Result<u64, Problem> {
        match self {
            Door::Host(client) => client.resume_groups(queue, &order).await,
            Door::Store(api) => api.resume_groups(queue.clone(), order).await,
        }
    }

    /// See [`Api::pause`] and [`Api::resume`].
    pub async fn set_paused(&self, queue: &QueueName, paused: bool) -> Result<(), Problem> {
        match (self, paused) {
            (Door::Host(client), true) => client.pause(queue).await,
            (Door::Host(client), false) => client.resume(queue).await,
            (Door::Store(api), true) => api.pause(queue.clone()).await,
            (Door::Store(api), false) => api.resume(queue.clone()).await,
        }
    }
}

async fn host(folder: &Path) -> Result<Option<Client>, Failure> {
    match Client::connect(&folder.join(SOCKET)).await {
        Ok(client) => Ok(Some(client)),
        Err(ConnectError::NoHost(_)) => Ok(None),
        Err(error @ ConnectError::Refused { .. }) => Err(Failure::new(Exit::NoHost, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(folder: &Path, config: &str) -> Global {
        let file = folder.join("gristmill.toml");
        std::fs::write(&file, config).unwrap();
        Global {
            config: file,
            data_dir: None,
            json: false,
            quiet: true,
        }
    }

    #[tokio::test]
    async fn without_a_host_the_store_is_opened_even_if_a_socket_was_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let global = global(folder.path(), "[queue.orders]\n");
        let data_dir = folder.path().join(defaults::DATA_DIR);
        std::fs::create_dir(&data_dir).unwrap();
        drop(crate::http::bind(&data_dir).unwrap());
        assert!(data_dir.join(SOCKET).exists());
        let door = Door::open(&global).await.unwrap();
        assert!(!door.is_host());
        assert_eq!(door.queues().await.unwrap()[0].name, "orders");
        door.close().await;
        let failure = Door::host(&global).await.err().unwrap();
        assert_eq!(failure.exit, Exit::NoHost);
    }

    #[tokio::test]
    async fn a_running_host_is_asked_even_if_the_file_is_broken_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let sound = global(folder.path(), "[queue.orders]\n");
        let Door::Store(api) = Door::open(&sound).await.unwrap() else {
            panic!("no host runs");
        };
        let data_dir = folder.path().join(defaults::DATA_DIR);
        let listener = crate::http::bind(&data_dir).unwrap();
        let queues = api.service().clone();
        tokio::spawn(crate::http::serve(listener, api));
        let broken = global(folder.path(), "[queue.orders\n");
        let door = Door::open(&broken).await.unwrap();
        assert!(door.is_host());
        assert_eq!(door.queues().await.unwrap()[0].name, "orders");
        queues.close().await;
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_file_is_said_where_it_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Door::open(&global(folder.path(), "[queue.orders\n"))
            .await
            .err()
            .unwrap();
        assert_eq!((failure.exit, failure.rendered), (Exit::Usage, true));
    }

    #[tokio::test]
    async fn a_folder_that_stays_in_use_is_reported_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let global = global(folder.path(), "[queue.orders]\n");
        let first = Door::open(&global).await.unwrap();
        let failure = Door::open_within(Duration::ZERO, &global)
            .await
            .err()
            .unwrap();
        assert_eq!(failure.exit, Exit::InUse);
        assert!(
            failure.message.contains(&std::process::id().to_string()),
            "{}",
            failure.message
        );
        first.close().await;
    }
}
