//! Reading request bodies, within limits of size and time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::limits::{BODY_TIMEOUT, MAX_DRAINED, MIN_BODY_RATE};
use crate::api::{Code, Problem};
use crate::net::Share;

/// Reads the body of a request, at most `limit` bytes.
pub async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let (head, body) = request.into_parts();
    read_from(&head, body, limit).await
}

/// The same of a request that was taken apart.
pub async fn read_from(head: &Parts, body: Body, limit: usize) -> Result<Bytes, Problem> {
    if refused_unread(&head.headers, limit as u64).is_some() {
        return Err(too_large(limit));
    }
    let share = head.extensions.get::<Share>();
    if let Some(length) = length(&head.headers) {
        // All that will be needed, before any of it is read.
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(limit);
        hold(share, length)?;
    }
    let mut intake = Intake::new(body);
    let mut held = Held::default();
    while let Some(chunk) = intake.next().await? {
        if intake.size > limit as u64 {
            intake.drain(limit as u64).await?;
            return Err(too_large(limit));
        }
        hold(share, usize::try_from(intake.size).unwrap_or(usize::MAX))?;
        held.add(chunk);
    }
    Ok(held.bytes())
}

/// Takes a share of what all requests may hold in memory.
pub(super) fn hold(share: Option<&Share>, bytes: usize) -> Result<(), Problem> {
    let held = share.map_or(Ok(()), |share| share.hold(bytes));
    held.map_err(|spent| Problem::new(Code::Busy, spent.to_string()))
}

/// Reads the body of a request as JSON; an empty body is an empty object.
pub async fn read_json<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Problem> {
    check_json(request.headers())?;
    let bytes = read(request, limit).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| Problem::bad_request(format!("the body is not as it should be: {error}")))
}

/// A `Content-Type` without its parameters, in small letters.
pub(super) fn media_type(given: &str) -> String {
    let kind = given.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// A body that says it is something else than JSON is not read as JSON.
fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let given = given.to_str().unwrap_or_default();
    let kind = media_type(given);
    if kind == "application/json" || kind.ends_with("+json") {
        return Ok(());
    }
    Err(Problem::new(
        Code::UnsupportedMediaType,
        format!(
            "the body is {given:?}, and JSON is taken here: send it with `Content-Type: application/json`"
        ),
    ))
}

/// The length of a body beyond the limit that is not even read: its client waits for leave to send, or
/// would send much more.
pub(super) fn refused_unread(headers: &HeaderMap, limit: u64) -> Option<u64> {
    let length = length(headers)?;
    let drained = limit.saturating_add(MAX_DRAINED as u64);
    (length > limit && (headers.contains_key(EXPECT) || length > drained)).then_some(length)
}

/// One chunk is copied if it is smaller than this. It is a part of the buffer that its connection reads
/// into, so whoever keeps it keeps all of that, and the next request needs new memory; and a message is
/// kept until it is handled.
const COPIED: usize = 16 * 1024;

/// Chunks in memory. Most bodies are one, which is not copied if it is large.
#[derive(Default)]
pub(super) struct Held {
    first: Option<Bytes>,
    rest: BytesMut,
}

impl Held {
    pub fn add(&mut self, chunk: Bytes) {
        match self.first.take() {
            None if self.rest.is_empty() => self.first = Some(chunk),
            earlier => {
                self.rest.extend(earlier);
                self.rest.extend_from_slice(&chunk);
            }
        }
    }

    pub fn bytes(self) -> Bytes {
        match self.first {
            Some(only) if only.len() < COPIED => Bytes::copy_from_slice(&only),
            Some(only) => only,
            None => self.rest.freeze(),
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A request's body, of which so much came so far.
pub(super) struct Intake {
    body: Body,
    begun: Instant,
    pub size: u64,
}

impl Intake {
    pub fn new(body: Body) -> Self {
        Intake {
            body,
            begun: Instant::now(),
            size: 0,
        }
    }

    /// The next bytes. They have to come at a pace: who holds a connection with a drop now and then
    /// keeps others from it.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let due = self.begun + allowed(self.size);
            let Ok(frame) = tokio::time::timeout_at(due, self.body.frame()).await else {
                return Err(Problem::new(
                    Code::TooSlow,
                    format!(
                        "of the body only {} bytes arrived within {} s, and {MIN_BODY_RATE} bytes each second are the least",
                        self.size,
                        allowed(self.size).as_secs()
                    ),
                ));
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame
                .map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
            if let Ok(chunk) = frame.into_data() {
                self.size += chunk.len() as u64;
                return Ok(Some(chunk));
            }
        }
    }

    /// Reads on for a while and throws it away, so that a client which does not listen before it has
    /// sent all hears the answer.
    pub async fn drain(&mut self, limit: u64) -> Result<(), Problem> {
        while self.size <= limit.saturating_add(MAX_DRAINED as u64) {
            if self.next().await?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Within which time so many bytes have to be there.
fn allowed(size: u64) -> Duration {
    BODY_TIMEOUT + Duration::from_secs(size / MIN_BODY_RATE)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("the body has more than {limit} bytes, which is the most allowed here: send less"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_body_does_not_keep_the_buffer_of_its_connection() {
        let held = |size: usize| {
            let buffer = Bytes::from(vec![7; 2 * COPIED]);
            let mut held = Held::default();
            held.add(buffer.slice(..size));
            let bytes = held.bytes();
            assert_eq!(bytes, buffer[..size]);
            bytes.as_ptr() == buffer.as_ptr()
        };
        assert!(!held(1) && !held(COPIED - 1));
        assert!(held(COPIED), "a large one is not copied");
    }
}
