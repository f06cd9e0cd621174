//! Groups of messages as they are shown, and what is asked of them.

use gristmill_queue::QueueName;
use gristmill_store::HaltedGroup;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, MAX_PAGE, Problem};

/// A group that delivers nothing until it is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HaltedGroupView {
    /// Its name; `None` if the record of it is damaged.
    pub group: Option<String>,
    /// When it was halted.
    pub halted_at_ms: Option<u64>,
    /// The message that died.
    pub message: Option<String>,
    /// The code of what it died of.
    pub reason: Option<String>,
    /// How many messages of the group wait.
    pub waiting: u64,
}

impl From<HaltedGroup> for HaltedGroupView {
    fn from(group: HaltedGroup) -> Self {
        let halted = group.halted.as_ref();
        HaltedGroupView {
            group: halted.map(|halted| halted.group.clone()),
            halted_at_ms: halted.map(|halted| halted.since.unix_ms()),
            message: halted.map(|halted| halted.died.to_string()),
            reason: halted.map(|halted| halted.reason.to_string()),
            waiting: group.waiting,
        }
    }
}

/// Some of the halted groups of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HaltedPage {
    /// The groups.
    pub items: Vec<HaltedGroupView>,
    /// What to ask for to get the next ones; `None` if these were the last.
    pub next: Option<String>,
}

/// Which halted groups are to go on: one, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResumeOrder {
    /// This one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// All of the queue.
    pub all: bool,
}

impl ResumeOrder {
    /// The one that is meant, or `None` for all.
    ///
    /// # Errors
    /// When neither is said, or both are.
    pub fn which(self) -> Result<Option<String>, Problem> {
        match (self.group, self.all) {
            (Some(group), false) => Ok(Some(group)),
            (None, true) => Ok(None),
            _ => Err(Problem::bad_request(
                "name the group that is to go on, or say \"all\": true, and not both",
            )),
        }
    }
}

impl Api {
    /// A page of the halted groups of a queue; `cursor` is the [`HaltedPage::next`] of the page
    /// before.
    ///
    /// # Errors
    /// When there is no such queue, or the cursor is none.
    pub async fn halted_groups(
        &self,
        queue: QueueName,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<HaltedPage, Problem> {
        let after = cursor.map(parse_cursor).transpose()?;
        let limit = limit.clamp(1, MAX_PAGE);
        let found = self.queues.halted_groups(queue, after, limit).await?;
        let next = (found.len() == limit)
            .then(|| found.last().map(|last| show_cursor(last.hash)))
            .flatten();
        let items = found.into_iter().map(HaltedGroupView::from).collect();
        Ok(HaltedPage { items, next })
    }

    /// Delivers halted groups of a queue again. Says how many were halted.
    ///
    /// # Errors
    /// When the order names none, or there is no such queue.
    pub async fn resume_groups(
        &self,
        queue: QueueName,
        order: ResumeOrder,
    ) -> Result<u64, Problem> {
        Ok(self.queues.resume_groups(queue, order.which()?).await?)
    }
}

/// A cursor is the hash of the last group of a page.
fn parse_cursor(text: &str) -> Result<u64, Problem> {
    u64::from_str_radix(text, 16).map_err(|_| {
        Problem::bad_request(format!("cursor {text:?} is none: use the `next` of a page"))
    })
}

/// As [`parse_cursor`] reads it.
fn show_cursor(hash: u64) -> String {
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_is_named_or_all_are_and_nothing_else_is_an_order() {
        let order = |group: Option<&str>, all| ResumeOrder {
            group: group.map(str::to_owned),
            all,
        };
        assert_eq!(order(Some("g"), false).which().unwrap(), Some("g".into()));
        assert_eq!(order(None, true).which().unwrap(), None);
        for wrong in [order(None, false), order(Some("g"), true)] {
            let problem = wrong.which().unwrap_err();
            assert!(problem.detail.contains("name the group"), "{problem}");
        }
        assert_eq!(parse_cursor(&show_cursor(u64::MAX)).unwrap(), u64::MAX);
        parse_cursor("x").unwrap_err();
    }
}
