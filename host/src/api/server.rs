//! The host itself: which program it is, since when it runs, and how far it lets one go.

use std::sync::Arc;
use std::time::Instant;

use gristmill_queue::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Api, Code, MAX_BATCH, MAX_BATCH_BYTES, MAX_PAGE, MAX_PEEK, MAX_REPLY_WAIT, Problem, VersionView,
};

/// Which program answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionAnswer {
    /// The version of Gristmill.
    pub version: String,
    /// Its process.
    pub pid: u32,
}

/// The host, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerView {
    /// The version of Gristmill.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// For how long it has been answering.
    pub up_ms: u64,
    /// What time it is for the queues.
    pub now_ms: u64,
    /// How many queues it has.
    pub queues: u64,
    /// How many handlers it has.
    pub handlers: u64,
    /// How many sends and receives it has turned away since its start, because it had too much to do.
    pub turned_away: u64,
    /// How far it lets one go.
    pub limits: LimitsView,
}

/// How far a host lets one go, whatever its configuration says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitsView {
    /// The most bytes of a body that a queue can be configured to take.
    pub body_bytes: u64,
    /// The most bytes of a batch, as JSON.
    pub batch_bytes: u64,
    /// The most messages of a batch.
    pub batch_messages: u64,
    /// The most attributes of a message.
    pub attributes: u64,
    /// The most bytes of all attributes of a message.
    pub attribute_bytes: u64,
    /// The most messages that one look into a queue returns.
    pub peek: u64,
    /// The most of anything on one page.
    pub page: u64,
    /// The longest time that one request waits for a reply.
    pub reply_wait_ms: u64,
}

/// Lists the versions of a handler; nothing if there is no such handler.
pub type ListVersions = Arc<dyn Fn(&str) -> Option<Vec<VersionView>> + Send + Sync>;

/// What the API knows of the host beside its queues.
#[derive(Clone)]
pub(super) struct About {
    begun: Instant,
    versions: Option<ListVersions>,
}

impl Default for About {
    fn default() -> Self {
        About {
            begun: Instant::now(),
            versions: None,
        }
    }
}

impl Api {
    /// With the versions of the handlers.
    #[must_use]
    pub fn with_versions(mut self, versions: ListVersions) -> Self {
        self.about.versions = Some(versions);
        self
    }

    /// Which program this is.
    #[must_use]
    pub fn version(&self) -> VersionAnswer {
        VersionAnswer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
        }
    }

    /// The host itself.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn server(&self) -> Result<ServerView, Problem> {
        let VersionAnswer { version, pid } = self.version();
        let up = self.about.begun.elapsed().as_millis();
        let wait = MAX_REPLY_WAIT.as_millis();
        Ok(ServerView {
            version,
            pid,
            up_ms: u64::try_from(up).unwrap_or(u64::MAX),
            now_ms: self.queues.now().unix_ms(),
            queues: self.queues().await?.len() as u64,
            handlers: self.handlers().unwrap_or_default().len() as u64,
            turned_away: self.queues.turned_away(),
            limits: LimitsView {
                body_bytes: limits::MAX_BODY,
                batch_bytes: MAX_BATCH_BYTES as u64,
                batch_messages: MAX_BATCH as u64,
                attributes: limits::MAX_ATTRIBUTES as u64,
                attribute_bytes: limits::MAX_ATTRIBUTE_BYTES as u64,
                peek: MAX_PEEK as u64,
                page: MAX_PAGE as u64,
                reply_wait_ms: u64::try_from(wait).unwrap_or(u64::MAX),
            },
        })
    }

    /// The versions of a handler that can serve at once: the serving one first, then earlier ones.
    ///
    /// # Errors
    /// When there is no such handler.
    pub fn versions(&self, handler: &str) -> Result<Vec<VersionView>, Problem> {
        let list = self.about.versions.as_ref();
        list.and_then(|list| list(handler)).ok_or_else(|| {
            Problem::new(
                Code::HandlerNotFound,
                format!("there is no handler {handler:?}: see `gristmill handlers`"),
            )
        })
    }
}
