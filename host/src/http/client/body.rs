//! Large bodies, piece by piece.

use std::io::Read;

use bytes::Bytes;
use gristmill_queue::{MessageId, NewMessage, QueueName};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt as _, Either};
use hyper::header::HOST;
use hyper::{Method, Request};
use tokio::runtime::Handle;

use super::{Client, read};
use crate::api::body::PIECE;
use crate::api::{Code, MessageIn, Problem, Sent};
use crate::http::limits::PIECES_AHEAD;

impl Client {
    /// Sends a message with what can be read from `source` as its body.
    ///
    /// # Errors
    /// As [`Api::send_all`](crate::api::Api::send_all), when the source cannot be read, and when the
    /// host cannot be reached.
    pub async fn send_large(
        &self,
        queue: &QueueName,
        message: NewMessage,
        source: Box<dyn Read + Send>,
    ) -> Result<Sent, Problem> {
        let (pieces, body) = Channel::new(PIECES_AHEAD);
        let request = Request::post(format!("/v1/queues/{queue}/messages"))
            .header(HOST, "gristmill")
            .header("gristmill-message", head(message)?)
            .body(Either::Right(body))
            .map_err(|error| Problem::bad_request(format!("this cannot be asked: {error}")))?;
        let feed = tokio::task::spawn_blocking(move || feed(source, pieces));
        let answer = self.ask_streaming(request).await;
        match feed.await {
            // What was read was not all of it, so nothing was sent.
            Ok(Err(error)) => Err(Problem::bad_request(format!(
                "the body cannot be read: {error}; nothing was sent"
            ))),
            _ => read(&answer?),
        }
    }

    /// Passes on the body of a message, piece by piece.
    ///
    /// # Errors
    /// When there is no such message, its body is damaged, `take` fails, or the host cannot be
    /// reached.
    pub async fn body(
        &self,
        id: MessageId,
        mut take: impl FnMut(Bytes) -> std::io::Result<()>,
    ) -> Result<(), Problem> {
        let path = format!("/v1/messages/{id}/body");
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(HOST, "gristmill")
            .body(Either::Left(Bytes::new().into()))
            .map_err(|error| Problem::bad_request(format!("this cannot be asked: {error}")))?;
        let (connection, answer) = self.begin(request).await?;
        if !answer.status().is_success() {
            return self.end(connection, answer, false).await.map(drop);
        }
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                let detail = format!(
                    "the body of message {id} broke off: {error}; the log of the host says why"
                );
                Problem::new(Code::Unreachable, detail)
            })?;
            if let Ok(piece) = frame.into_data() {
                take(piece).map_err(|error| {
                    let detail = format!("the body cannot be written: {error}");
                    Problem::new(Code::Other, detail)
                })?;
            }
        }
        self.keep(connection).await;
        Ok(())
    }
}

/// A message as a header has it, but for its body. Headers are ASCII, and JSON can be.
fn head(message: NewMessage) -> Result<String, Problem> {
    let head = MessageIn {
        body: None,
        body_base64: None,
        ..MessageIn::of(message)
    };
    let json = serde_json::to_string(&head)
        .map_err(|error| Problem::bad_request(format!("this cannot be asked: {error}")))?;
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Ok(ascii)
}

/// Reads a source to its end, or until nobody takes more.
fn feed(
    mut source: Box<dyn Read + Send>,
    mut pieces: Sender<Bytes, std::io::Error>,
) -> std::io::Result<()> {
    let host = Handle::current();
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match source.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(_) if host.block_on(pieces.send_data(piece.into())).is_err() => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                pieces.abort(std::io::Error::other("the source cannot be read"));
                return Err(error);
            }
        }
    }
}
