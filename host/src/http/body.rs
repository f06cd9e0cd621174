//! Reading request bodies, within limits of size and time.

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::limits::{BODY_TIMEOUT, MAX_DRAINED};
use crate::api::{Code, Problem};

/// Reads the body of a request, at most `limit` bytes.
pub async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let (head, body) = request.into_parts();
    if refused_unread(&head.headers, limit as u64).is_some() {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(BODY_TIMEOUT, collect(body, limit)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::new(
            Code::TooSlow,
            format!(
                "the body did not arrive within {} s",
                BODY_TIMEOUT.as_secs()
            ),
        )),
    }
}

/// Reads the body of a request as JSON; an empty body is an empty object.
pub async fn read_json<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Problem> {
    let bytes = read(request, limit).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| Problem::bad_request(format!("the body is not as it should be: {error}")))
}

/// The length of a body beyond the limit that is not even read: its client waits for leave to send, or
/// would send much more.
pub(super) fn refused_unread(headers: &HeaderMap, limit: u64) -> Option<u64> {
    let length: u64 = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    let drained = limit.saturating_add(MAX_DRAINED as u64);
    (length > limit && (headers.contains_key(EXPECT) || length > drained)).then_some(length)
}

/// Chunks in memory. Most bodies are one, which is then not copied.
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
        self.first.unwrap_or_else(|| self.rest.freeze())
    }
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut held = Held::default();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        size += chunk.len();
        if size > limit.saturating_add(MAX_DRAINED) {
            break;
        }
        if size > limit {
            continue;
        }
        held.add(chunk);
    }
    if size > limit {
        return Err(too_large(limit));
    }
    Ok(held.bytes())
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("the body has more than {limit} bytes, which is the most allowed here: send less"),
    )
}
