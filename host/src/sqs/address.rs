//! How queues are named on the wire: by URL and by ARN.

use gristmill_queue::QueueName;

use super::error::SqsError;

/// Who owns all queues, and where they are said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// What URLs of queues begin with, without a slash at the end.
    pub base: String,
    /// Since when they are there: milliseconds since 1970.
    pub since_ms: u64,
}

impl Place {
    /// The URL of a queue.
    #[must_use]
    pub fn url(&self, queue: &QueueName) -> String {
        format!("{}/{}/{queue}", self.base, self.account)
    }

    /// The ARN of a queue.
    #[must_use]
    pub fn arn(&self, queue: &QueueName) -> String {
        format!("arn:aws:sqs:{}:{}:{queue}", self.region, self.account)
    }
}

/// The queue that a URL, or a bare name, is of: whatever stands behind the last slash.
///
/// # Errors
/// When that cannot be the name of a queue, which is then not there.
pub fn of_url(url: &str) -> Result<QueueName, SqsError> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next();
    QueueName::new(name.unwrap_or_default()).map_err(|_| SqsError::no_queue())
}

/// The queue that an ARN is of; `None` if it is no ARN of a queue. Region and account are not compared: all
/// queues are in one place.
#[must_use]
pub fn of_arn(arn: &str) -> Option<QueueName> {
    let mut parts = arn.split(':');
    let head = [parts.next()?, parts.next()?, parts.next()?];
    let (_region, _account) = (parts.next()?, parts.next()?);
    let name = parts.next()?;
    let partition = head[1].starts_with("aws");
    if head[0] != "arn" || !partition || head[2] != "sqs" || parts.next().is_some() {
        return None;
    }
    QueueName::new(name).ok()
}
