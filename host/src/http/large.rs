//! Bodies on their way in and out that are too large to be held: piece by piece, at a pace.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use gristmill_queue::QueueName;
use gristmill_store::SendError;
use http_body_util::channel::{Channel, Sender};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::body::{Held, Intake, hold, refused_unread};
use super::limits::{BODY_TIMEOUT, PIECES_AHEAD};
use crate::api::body::{OpenBody, StoredBody, too_large};
use crate::api::{Api, Code, Problem};
use crate::net::Share;

/// A body that was taken in.
pub enum Taken {
    /// It is small.
    Whole(Bytes),
    /// It is stored.
    Stored(StoredBody),
}

/// Takes in the body of a message for a queue or topic. What is small is held, what is not is stored
/// as it comes.
pub async fn take(api: &Api, queue: &QueueName, request: Request) -> Result<Taken, Problem> {
    let (head, body) = request.into_parts();
    let limit = api.body_limit(queue);
    let most = limit.unwrap_or(0);
    let refusal = |size| match limit {
        Some(limit) => too_large(queue, size, limit),
        None => SendError::UnknownQueue(queue.clone()).into(),
    };
    if let Some(length) = refused_unread(&head.headers, most) {
        return Err(refusal(length));
    }
    let share = head.extensions.get::<Share>();
    let mut intake = Intake::new(body);
    let mut held = Held::default();
    while let Some(chunk) = intake.next().await? {
        if intake.size > most {
            intake.drain(most).await?;
            return Err(refusal(intake.size));
        }
        let so_far = intake.size.min(api.inline_bytes());
        hold(share, usize::try_from(so_far).unwrap_or(usize::MAX))?;
        held.add(chunk);
        if intake.size > api.inline_bytes() {
            return store(api, queue, intake, held.bytes()).await;
        }
    }
    Ok(Taken::Whole(held.bytes()))
}

/// Stores what was taken in so far, and the rest as it comes.
async fn store(
    api: &Api,
    queue: &QueueName,
    mut intake: Intake,
    first: Bytes,
) -> Result<Taken, Problem> {
    let (pieces, taken) = mpsc::channel(PIECES_AHEAD);
    let writer: JoinHandle<Result<Option<StoredBody>, Problem>> = {
        let (api, queue) = (api.clone(), queue.clone());
        tokio::task::spawn_blocking(move || write(&api, &queue, taken))
    };
    let mut next = Some(first);
    let mut complete = true;
    while let Some(chunk) = next {
        // Nobody takes it when the writer has failed, and then says why.
        if pieces.send(Some(chunk)).await.is_err() {
            complete = false;
            break;
        }
        next = intake.next().await?;
    }
    if complete {
        let _ = pieces.send(None).await;
    }
    drop(pieces);
    let written = writer
        .await
        .unwrap_or_else(|error| Err(Problem::new(Code::StoreFailed, error.to_string())));
    match written {
        Ok(Some(stored)) => Ok(Taken::Stored(stored)),
        Ok(None) => Err(Problem::bad_request("the body broke off")),
        Err(problem) => {
            let read = intake.size;
            intake.drain(read).await?;
            Err(problem)
        }
    }
}

/// Stores pieces until the last one, which is none; if that does not come, nothing is left of them.
fn write(
    api: &Api,
    queue: &QueueName,
    mut pieces: mpsc::Receiver<Option<Bytes>>,
) -> Result<Option<StoredBody>, Problem> {
    let mut large = api.take_large(queue)?;
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Some(piece) => large.write(&piece)?,
            None => return large.finish().map(Some),
        }
    }
    Ok(None)
}

/// Answers with a body, as it was sent.
pub async fn give(body: OpenBody) -> Result<Response, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.size));
    let known = body.content_type.as_deref();
    let content_type = known.and_then(|known| HeaderValue::from_str(known).ok());
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, content_type.unwrap_or(unknown));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The first piece is read before the answer begins, so that damage there is said and not cut off.
    let (body, first) = read(body, 0).await?;
    let (pieces, channel) = Channel::<Bytes, std::io::Error>::new(PIECES_AHEAD);
    tokio::spawn(pass_on(body, first, pieces));
    Ok((headers, Body::new(channel)).into_response())
}

async fn pass_on(body: OpenBody, first: Bytes, mut pieces: Sender<Bytes, std::io::Error>) {
    let (mut body, mut piece, mut offset) = (body, first, 0);
    while !piece.is_empty() {
        offset += piece.len() as u64;
        let given = tokio::time::timeout(BODY_TIMEOUT, pieces.send_data(piece)).await;
        if !matches!(given, Ok(Ok(()))) {
            return pieces.abort(std::io::Error::other("nobody reads the body"));
        }
        match read(body, offset).await {
            Ok((same, next)) => (body, piece) = (same, next),
            Err(problem) => {
                tracing::error!(problem = %problem.detail, "a body could not be read to its end");
                return pieces.abort(std::io::Error::other(problem.detail));
            }
        }
    }
}

async fn read(body: OpenBody, offset: u64) -> Result<(OpenBody, Bytes), Problem> {
    let read = tokio::task::spawn_blocking(move || {
        let piece = body.piece(offset)?;
        Ok((body, piece))
    });
    match read.await {
        Ok(read) => read.map_err(|error: gristmill_queue::BlobUnavailable| error.into()),
        Err(error) => Err(Problem::new(Code::StoreFailed, error.to_string())),
    }
}
