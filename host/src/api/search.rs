//! What is asked about dead letters: which ones, and what is to be done with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilterView;

/// What is to be done with dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadOrder {
    /// Which ones.
    pub filter: FilterView,
    /// Only count them.
    pub dry_run: bool,
}

/// Which dead letters are to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadSearch {
    /// Which ones.
    pub filter: FilterView,
    /// The messages that wait in the queue and died in another, instead of its own dead; for groups
    /// only.
    pub to_source: bool,
    /// The `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}
