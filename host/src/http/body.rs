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
    if let Some(length) = content_length(&head.headers)
        && length > limit
    {
        // A client that waits for leave to send, or sends much more, is refused unread.
        if head.headers.contains_key(EXPECT) || length > limit.saturating_add(MAX_DRAINED) {
            return Err(too_large(limit));
        }
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

pub(super) fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut first = None;
    let mut rest = BytesMut::new();
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
        // Most bodies are one chunk, which is then not copied.
        match first.take() {
            None if rest.is_empty() => first = Some(chunk),
            earlier => {
                rest.extend(earlier);
                rest.extend_from_slice(&chunk);
            }
        }
    }
    if size > limit {
        return Err(too_large(limit));
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("the body has more than {limit} bytes, which is the most allowed here: send less"),
    )
}
