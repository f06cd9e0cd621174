//! Topics as they are shown.

use gristmill_queue::topic::Unmatched;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, Problem};

/// A topic, as an operator sees it. What is counted is counted since the host started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicView {
    /// Its name.
    pub name: String,
    /// What becomes of messages that no subscription matches: `count` or `refuse`.
    pub on_unmatched: String,
    /// How many messages were accepted; repeats are not counted.
    pub sent: u64,
    /// How many of them no subscription matched.
    pub unmatched: u64,
    /// How many were refused because no subscription matched.
    pub refused: u64,
    /// The queues that get copies.
    pub subscriptions: Vec<SubscriptionView>,
}

/// A subscription, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionView {
    /// The queue.
    pub queue: String,
    /// What its filters let through, in words; `all` if it has none.
    pub filter: String,
    /// How many copies it got.
    pub copies: u64,
}

impl From<gristmill_store::TopicView> for TopicView {
    fn from(view: gristmill_store::TopicView) -> Self {
        let on_unmatched = match view.unmatched_are {
            Unmatched::Count => "count",
            Unmatched::Refuse => "refuse",
        };
        let show = |one: gristmill_store::SubscriptionView| SubscriptionView {
            queue: one.queue.to_string(),
            filter: one.filter,
            copies: one.copies,
        };
        TopicView {
            name: view.name.to_string(),
            on_unmatched: on_unmatched.to_owned(),
            sent: view.sent,
            unmatched: view.unmatched,
            refused: view.refused,
            subscriptions: view.subscriptions.into_iter().map(show).collect(),
        }
    }
}

impl Api {
    /// All topics, by name.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn topics(&self) -> Result<Vec<TopicView>, Problem> {
        let topics = self.queues.topics().await?;
        Ok(topics.into_iter().map(TopicView::from).collect())
    }
}
