//! Makes a queue; one that is there already with the same attributes is fine.

use gristmill_queue::{QueueName, Timestamp};

use super::member;
use crate::config::SqsLimits;
use crate::queues::Made;
use crate::sqs::error::{Answer, Kind, SqsError};
use crate::sqs::settings::{self, Attributes};
use crate::sqs::{Ask, address, is_own};

const NAME: &str =
    "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";

pub async fn run(ask: &Ask<'_>) -> Answer {
    let text = ask.params.need("QueueName")?;
    let mut given = ask.params.pairs("Attributes")?.unwrap_or_default();
    let fifo = check_type(text, given.remove("FifoQueue").as_deref())?;
    let name = QueueName::new(text).map_err(|_| SqsError::parameter(NAME))?;
    if is_own(&name) {
        return Err(SqsError::value(
            text,
            "QueueName",
            "Names that begin with gristmill- are the host's own.",
        ));
    }
    let limits = ask.sqs.config.limits;
    let attributes = settings::check(&given, fifo, limits)?;
    let tags = ask.params.pairs("tags")?.unwrap_or_default();
    super::tag_queue::check(&tags)?;
    let known = ask.known(&name).ok();
    if known.as_ref().is_some_and(|known| known.made.is_none()) {
        if !attributes.is_empty() {
            tracing::warn!(queue = %name, "CreateQueue names attributes of a queue that the file declares; the file counts");
        }
        return Ok(member("QueueUrl", ask.place.url(&name)));
    }
    let now = ask.sqs.queues.now();
    let strict = limits == SqsLimits::Strict;
    if known.is_none() && strict && ask.sqs.recent.was_deleted(&name, now) {
        return Err(SqsError::new(
            Kind::QueueDeletedRecently,
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        ));
    }
    let edit = |made: Option<&Made>, now: Timestamp| match made {
        Some(_) => compare(ask, &name, &attributes).map(|()| None),
        None => {
            let find = |target: &QueueName| ask.is_there(target);
            settings::make(&attributes, tags, now.unix_ms(), find, &name).map(Some)
        }
    };
    ask.sqs.queues.edit_made(&name, edit).await?;
    Ok(member("QueueUrl", ask.place.url(&name)))
}

/// Whether it is to be a FIFO queue: its name and its attribute have to say the same.
fn check_type(name: &str, attribute: Option<&str>) -> Result<bool, SqsError> {
    let named = name.ends_with(".fifo");
    match attribute {
        None if named => Err(SqsError::parameter(NAME)),
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") && named => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("true") => Err(SqsError::parameter(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length",
        )),
        Some(value) if value.eq_ignore_ascii_case("false") => {
            Err(SqsError::unknown_attribute("FifoQueue"))
        }
        Some(_) => Err(SqsError::attribute_value("FifoQueue")),
    }
}

/// Only what is given is compared with what is.
fn compare(ask: &Ask<'_>, name: &QueueName, given: &Attributes) -> Result<(), SqsError> {
    let is = settings::all(name, &ask.known(name)?, &ask.place);
    for (attribute, value) in given {
        if !is_same(attribute, value, is.get(attribute)) {
            let message = format!(
                "A queue already exists with the same name and a different value for attribute {attribute}"
            );
            return Err(SqsError::new(Kind::QueueNameExists, message));
        }
    }
    Ok(())
}

fn is_same(attribute: &str, given: &str, is: Option<&String>) -> bool {
    let Some(is) = is else {
        return given.is_empty() || attribute == "KmsDataKeyReusePeriodSeconds" && given == "300";
    };
    if attribute != "RedrivePolicy" {
        return is == given;
    }
    let parts = |text: &str| {
        let policy: serde_json::Value = serde_json::from_str(text).ok()?;
        let target = address::of_arn(policy.get("deadLetterTargetArn")?.as_str()?)?;
        let count = policy.get("maxReceiveCount")?;
        let count = count
            .as_str()
            .map_or_else(|| count.to_string(), str::to_owned);
        Some((target, count))
    };
    parts(is) == parts(given)
}
