//! Dead letters as they are named and shown.

use gristmill_queue::{MessageId, Reason, Timestamp};
use gristmill_store::{DeadFilter, DeadGroup, DeadLetter, DeadSummary, ReturnableGroup};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::message::{Attributes, Body};
use super::view::{AttemptView, CountersView, EnvelopeView};

/// Which dead letters are meant; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterView {
    /// Only these messages; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Only those that died of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only those with this fingerprint: 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Only those that died in a module whose SHA-256 begins so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Only those that died then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Only those that died before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Only those with all of these attributes.
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Only those of this type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// Only those from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl TryFrom<FilterView> for DeadFilter {
    type Error = Problem;

    fn try_from(view: FilterView) -> Result<Self, Problem> {
        let id = |text: &String| {
            text.parse::<MessageId>()
                .map_err(|error| Problem::bad_request(error.to_string()))
        };
        Ok(DeadFilter {
            ids: view.ids.iter().map(id).collect::<Result<_, _>>()?,
            reason: view.reason.as_deref().map(parse_reason).transpose()?,
            fingerprint: view
                .fingerprint
                .as_deref()
                .map(parse_fingerprint)
                .transpose()?,
            handler: view.module.as_deref().map(parse_module).transpose()?,
            since: view.since_ms.map(Timestamp::from_unix_ms),
            until: view.until_ms.map(Timestamp::from_unix_ms),
            attributes: view.attributes.0,
            message_type: view.message_type,
            source: view.source,
        })
    }
}

impl From<&DeadFilter> for FilterView {
    fn from(filter: &DeadFilter) -> Self {
        FilterView {
            ids: filter.ids.iter().map(ToString::to_string).collect(),
            reason: filter.reason.map(|reason| reason.to_string()),
            fingerprint: filter.fingerprint.map(show_fingerprint),
            module: filter.handler.clone(),
            since_ms: filter.since.map(Timestamp::unix_ms),
            until_ms: filter.until.map(Timestamp::unix_ms),
            attributes: Attributes(filter.attributes.clone()),
            message_type: filter.message_type.clone(),
            source: filter.source.clone(),
        }
    }
}

/// Reads the code of a reason.
///
/// # Errors
/// When there is no such reason; with all that there are.
pub fn parse_reason(code: &str) -> Result<Reason, Problem> {
    Reason::from_code(code).ok_or_else(|| {
        let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        Problem::bad_request(format!(
            "{code:?} is no reason: use one of {}",
            codes.join(", ")
        ))
    })
}

/// Reads a fingerprint.
///
/// # Errors
/// When it is none.
pub fn parse_fingerprint(text: &str) -> Result<u64, Problem> {
    let digits = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits
        .then(|| u64::from_str_radix(text, 16).ok())
        .flatten()
        .ok_or_else(|| {
            Problem::bad_request(format!(
                "{text:?} is not a fingerprint: they are 16 hexadecimal digits, as in `gristmill dead list`"
            ))
        })
}

/// Reads the beginning of a module's SHA-256.
///
/// # Errors
/// When it is none.
pub fn parse_module(text: &str) -> Result<String, Problem> {
    let digits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| text.to_ascii_lowercase()).ok_or_else(|| {
        Problem::bad_request(format!(
            "{text:?} is not the beginning of a module's SHA-256: write 1 to 64 hexadecimal digits, as in `gristmill dead list` or `gristmill handlers`"
        ))
    })
}

/// A fingerprint as it is written.
#[must_use]
pub fn show_fingerprint(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}

/// A dead letter in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadItem {
    /// The message's id; `None` if its record is damaged.
    pub id: Option<String>,
    /// When it died.
    pub died_at_ms: u64,
    /// When it is forgotten.
    pub forget_at_ms: Option<u64>,
    /// Why it died.
    pub reason: String,
    /// Groups letters that died alike.
    pub fingerprint: String,
    /// Attempts that counted.
    pub attempts: u32,
    /// Why it died, in words.
    pub error: String,
    /// SHA-256 of the handler's module; empty if none ran.
    pub module: String,
}

impl DeadItem {
    /// A dead letter as it stands in a list; `letter` is `None` if it is damaged.
    #[must_use]
    pub fn of(summary: &DeadSummary, letter: Option<&DeadLetter>) -> Self {
        let damaged = || {
            format!(
                "the record of message number {} is damaged",
                summary.sequence
            )
        };
        DeadItem {
            id: letter.map(|letter| letter.message.id.to_string()),
            died_at_ms: summary.died_at.unix_ms(),
            forget_at_ms: summary.forget_at.map(Timestamp::unix_ms),
            reason: summary.reason.to_string(),
            fingerprint: show_fingerprint(summary.fingerprint),
            attempts: letter.map_or(0, |letter| letter.counters.attempts),
            error: letter.map_or_else(damaged, |letter| letter.error.clone()),
            module: letter.map_or_else(String::new, |letter| letter.handler.clone()),
        }
    }
}

impl From<&ReturnableGroup> for DeadGroupView {
    fn from(one: &ReturnableGroup) -> Self {
        let latest = DeadItem {
            id: Some(one.id.to_string()),
            died_at_ms: one.died.died_at.unix_ms(),
            forget_at_ms: None,
            reason: one.died.reason.to_string(),
            fingerprint: show_fingerprint(one.died.fingerprint),
            attempts: one.died.attempts,
            error: one.died.error.clone(),
            module: one.died.handler.clone(),
        };
        DeadGroupView::of(&one.group, Some(latest))
    }
}

/// Some of the dead letters of a queue, in original order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadPage {
    /// The letters.
    pub items: Vec<DeadItem>,
    /// What to ask for to get the next ones; `None` if these were the last.
    pub next: Option<String>,
}

/// Dead letters that died alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadGroupView {
    /// What they share.
    pub fingerprint: String,
    /// Why they died.
    pub reason: String,
    /// How many there are.
    pub count: u64,
    /// When the first of them died.
    pub first_died_at_ms: u64,
    /// In which modules they died.
    pub versions: Vec<VersionCount>,
    /// The latest of them.
    pub latest: DeadItem,
}

/// How many died in a version of the handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionCount {
    /// SHA-256 of the module.
    pub module: String,
    /// How many.
    pub count: u64,
}

impl DeadGroupView {
    /// A group; `latest` is `None` if the latest of it is damaged or has left.
    #[must_use]
    pub fn of(group: &DeadGroup, latest: Option<DeadItem>) -> Self {
        let versions = group.versions.iter();
        let versions = versions.map(|(module, count)| VersionCount {
            module: module.clone(),
            count: *count,
        });
        DeadGroupView {
            fingerprint: show_fingerprint(group.fingerprint),
            reason: group.reason.to_string(),
            count: group.count,
            first_died_at_ms: group.first_died_at.unix_ms(),
            versions: versions.collect(),
            latest: latest.unwrap_or_else(|| DeadItem::of(&group.latest, None)),
        }
    }
}

/// A dead letter, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterView {
    /// The message's id.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// When it was accepted.
    pub enqueued_at_ms: u64,
    /// When it would have expired.
    pub expires_at_ms: Option<u64>,
    /// When it died.
    pub died_at_ms: u64,
    /// Why it died.
    pub reason: String,
    /// The same in words.
    pub error: String,
    /// Groups letters that died alike.
    pub fingerprint: String,
    /// What was counted.
    pub counters: CountersView,
    /// Its ended attempts, oldest first.
    pub history: Vec<AttemptView>,
    /// Wasm frames of the last attempt, innermost first.
    pub backtrace: Vec<String>,
    /// The end of what the handler wrote in the last attempt.
    pub output_tail: String,
    /// How many bytes of output were thrown away.
    pub output_dropped: u64,
    /// SHA-256 of the handler's module; empty if none ran.
    pub module: String,
    /// The fingerprint of the handler's configuration.
    pub config: String,
    /// What its sender said.
    pub envelope: EnvelopeView,
    /// Bytes of its body.
    pub size: usize,
    /// Its body is large, stored aside, and left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub body_omitted: bool,
    /// Its body.
    #[serde(flatten)]
    pub body: Body,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let message = letter.message;
        DeadLetterView {
            id: message.id.to_string(),
            queue: message.queue.to_string(),
            enqueued_at_ms: message.enqueued_at.unix_ms(),
            expires_at_ms: message.expires_at.map(Timestamp::unix_ms),
            died_at_ms: letter.died_at.unix_ms(),
            reason: letter.reason.to_string(),
            error: letter.error,
            fingerprint: show_fingerprint(letter.fingerprint),
            counters: letter.counters.into(),
            history: letter.attempts.into_iter().map(AttemptView::from).collect(),
            backtrace: letter.diagnostics.backtrace,
            output_tail: letter.diagnostics.output_tail,
            output_dropped: letter.diagnostics.output_dropped,
            module: letter.handler,
            config: letter.config,
            size: usize::try_from(message.size()).unwrap_or(usize::MAX),
            body_omitted: message.blob.is_some(),
            body: Body::inline(&message),
            envelope: message.envelope.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_and_written() {
        let id = MessageId::from_bytes([7; 16]);
        let view = FilterView {
            ids: vec![id.to_string()],
            reason: Some("trap".into()),
            fingerprint: Some("00000000000000ff".into()),
            module: Some("ab12".into()),
            since_ms: Some(5),
            until_ms: Some(9),
            attributes: Attributes(vec![("tenant".into(), "a&b = c".into())]),
            message_type: Some("order.placed".into()),
            source: Some("shop".into()),
        };
        let filter = DeadFilter::try_from(view.clone()).unwrap();
        assert_eq!(filter.ids, [id]);
        assert_eq!(filter.reason, Some(Reason::Trap));
        assert_eq!(filter.fingerprint, Some(255));
        assert_eq!(filter.since, Some(Timestamp::from_unix_ms(5)));
        assert_eq!(FilterView::from(&filter), view);
    }

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        for (view, expected) in [
            (
                FilterView {
                    ids: vec!["x".into()],
                    ..FilterView::default()
                },
                "message id",
            ),
            (
                FilterView {
                    reason: Some("bad luck".into()),
                    ..FilterView::default()
                },
                "use one of retry, rejected",
            ),
            (
                FilterView {
                    module: Some("orders".into()),
                    ..FilterView::default()
                },
                "1 to 64 hexadecimal digits",
            ),
            (
                FilterView {
                    fingerprint: Some("+1".into()),
                    ..FilterView::default()
                },
                "fingerprint",
            ),
            (
                FilterView {
                    fingerprint: Some("0".repeat(17)),
                    ..FilterView::default()
                },
                "fingerprint",
            ),
        ] {
            let problem = DeadFilter::try_from(view).unwrap_err();
            assert!(problem.detail.contains(expected), "{problem}");
        }
    }
}
