//! Lists of queues, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gristmill_queue::QueueName;
use serde_json::{Map, Value};

use crate::sqs::Ask;
use crate::sqs::error::SqsError;

/// The most queues of one page.
const MOST: usize = 1000;

/// A page of these queues, which are in order, under that name.
///
/// # Errors
/// When the size of a page, or where it begins, is malformed.
pub fn of(
    ask: &Ask<'_>,
    member: &str,
    names: &[QueueName],
) -> Result<Map<String, Value>, SqsError> {
    let size = match ask.params.integer("MaxResults")? {
        None => None,
        Some(size @ 1..=1000) => usize::try_from(size).ok(),
        Some(size) => {
            let reason = format!("MaxResults must be an integer between 1 and {MOST}.");
            return Err(SqsError::value(&size.to_string(), "MaxResults", &reason));
        }
    };
    let after = match ask.params.text("NextToken")? {
        None | Some("") => None,
        Some(token) => Some(position(token)?),
    };
    let rest = names
        .iter()
        .filter(|name| after.as_ref().is_none_or(|after| *name > after));
    let mut page: Vec<&QueueName> = rest.take(size.unwrap_or(MOST) + 1).collect();
    let more = page.len() > size.unwrap_or(MOST);
    page.truncate(size.unwrap_or(MOST));
    let mut answer = Map::new();
    if let Some(last) = page.last()
        && more
        && size.is_some()
    {
        let token = STANDARD.encode(last.as_str());
        answer.insert("NextToken".to_owned(), token.into());
    }
    if !page.is_empty() {
        let urls: Vec<Value> = page.iter().map(|name| ask.place.url(name).into()).collect();
        answer.insert(member.to_owned(), urls.into());
    }
    Ok(answer)
}

fn position(token: &str) -> Result<QueueName, SqsError> {
    let name = STANDARD.decode(token).ok();
    let name = name.and_then(|bytes| String::from_utf8(bytes).ok());
    name.and_then(|name| QueueName::new(&name).ok())
        .ok_or_else(|| SqsError::value(token, "NextToken", "It is not one that was given here."))
}
