//! The other end of the socket: the verbs of [`Api`](crate::api::Api), asked of a running host.
//!
//! One connection, one request after the other, so that what is sent arrives in its order. Sends go
//! as batches in JSON even when there is one message: headers would change the case of attributes.

mod backup;
mod body;
mod cron;
mod dead;
mod one;
mod pull;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use gristmill_queue::{NewMessage, QueueName};
use gristmill_store::PurgeStates;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::limits::{CLIENT_IDLE, MAX_ANSWER};
use crate::api::{
    BatchIn, Code, Count, HandlerView, Items, MessageIn, Problem, ProblemJson, PurgeOrder,
    QueueView, Sent, VersionAnswer, WaitingView,
};

mod groups;
mod topics;

/// Why no host can be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// None runs: there is no socket, or nobody listens at it.
    #[error("no host runs on {}", .0.display())]
    NoHost(PathBuf),
    /// The socket is there but not usable.
    #[error("the socket {path} cannot be used: {source}", path = .path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What is sent: all at once, or piece by piece.
type Sending = Either<Full<Bytes>, Channel<Bytes, std::io::Error>>;

struct Connection {
    sender: SendRequest<Sending>,
    used: Instant,
}

/// A host that runs.
pub struct Client {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// When no host listens there.
    pub async fn connect(path: &Path) -> Result<Self, ConnectError> {
        let stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            Err(error) => {
                let path = path.to_owned();
                return Err(match error.kind() {
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                        ConnectError::NoHost(path)
                    }
                    _ => ConnectError::Refused {
                        path,
                        source: error,
                    },
                });
            }
        };
        let connection = shake_hands(stream)
            .await
            .map_err(|error| ConnectError::Refused {
                path: path.to_owned(),
                source: std::io::Error::other(error),
            })?;
        Ok(Client {
            path: path.to_owned(),
            connection: Mutex::new(Some(connection)),
        })
    }

    /// See [`Api::send_all`](crate::api::Api::send_all).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn send_all(
        &self,
        queue: &QueueName,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<Sent>, Problem> {
        let batch = BatchIn {
            messages: messages.into_iter().map(MessageIn::of).collect(),
        };
        let path = format!("/v1/queues/{queue}/messages/batch");
        let sent: Items<Sent> = self.post(&path, &batch).await?;
        Ok(sent.items)
    }

    /// See [`Api::queues`](crate::api::Api::queues).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn queues(&self) -> Result<Vec<QueueView>, Problem> {
        self.items("/v1/queues").await
    }

    /// See [`Api::handlers`](crate::api::Api::handlers).
    ///
    /// # Errors
    /// When the host cannot be reached.
    pub async fn handlers(&self) -> Result<Vec<HandlerView>, Problem> {
        self.items("/v1/handlers").await
    }

    /// Which program runs.
    ///
    /// # Errors
    /// When the host cannot be reached.
    pub async fn version(&self) -> Result<VersionAnswer, Problem> {
        self.get("/v1/version").await
    }

    /// See [`Api::peek`](crate::api::Api::peek).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn peek(&self, queue: &QueueName, limit: usize) -> Result<Vec<WaitingView>, Problem> {
        self.items(&format!("/v1/queues/{queue}/messages?limit={limit}"))
            .await
    }

    /// See [`Api::purge`](crate::api::Api::purge).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn purge(&self, queue: &QueueName, states: PurgeStates) -> Result<u64, Problem> {
        let order = PurgeOrder::from(states);
        let done: Count = self
            .post(&format!("/v1/queues/{queue}/purge"), &order)
            .await?;
        Ok(done.count)
    }

    /// See [`Api::pause`](crate::api::Api::pause).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn pause(&self, queue: &QueueName) -> Result<(), Problem> {
        let path = format!("/v1/queues/{queue}/pause");
        self.call(Method::POST, &path, Bytes::new()).await.map(drop)
    }

    /// See [`Api::resume`](crate::api::Api::resume).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn resume(&self, queue: &QueueName) -> Result<(), Problem> {
        let path = format!("/v1/queues/{queue}/resume");
        self.call(Method::POST, &path, Bytes::new()).await.map(drop)
    }

    async fn items<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Problem> {
        let found: Items<T> = self.get(path).await?;
        Ok(found.items)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        read(&self.call(Method::GET, path, Bytes::new()).await?)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        order: &impl Serialize,
    ) -> Result<T, Problem> {
        let body = serde_json::to_vec(order)
            .map_err(|error| Problem::bad_request(format!("this cannot be asked: {error}")))?;
        read(&self.call(Method::POST, path, body.into()).await?)
    }

    /// Asks, and returns the body of a good answer.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, Problem> {
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header(HOST, "gristmill")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Problem::bad_request(format!("this cannot be asked: {error}")))?;
        self.ask(request).await
    }

    pub(super) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Problem> {
        self.ask_streaming(request.map(Either::Left)).await
    }

    async fn ask_streaming(&self, request: Request<Sending>) -> Result<Bytes, Problem> {
        let changes = *request.method() != Method::GET;
        let (connection, answer) = self.begin(request).await?;
        self.end(connection, answer, changes).await
    }

    /// Asks. The connection is the caller's until the answer is read.
    async fn begin(
        &self,
        request: Request<Sending>,
    ) -> Result<(Connection, Response<Incoming>), Problem> {
        let changes = *request.method() != Method::GET;
        let before = self.connection.lock().await.take();
        let mut connection = self.usable(before).await?;
        let answer = connection.sender.send_request(request).await;
        answer
            .map(|answer| (connection, answer))
            .map_err(|error| broken(&error, changes))
    }

    /// Reads the answer, and keeps the connection for the next question.
    async fn end(
        &self,
        connection: Connection,
        answer: Response<Incoming>,
        changes: bool,
    ) -> Result<Bytes, Problem> {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| broken(&error, changes))?.to_bytes();
        self.keep(connection).await;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<ProblemJson>(&body) {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(Problem::new(
                Code::Other,
                format!("the host answers {status}"),
            )),
        }
    }

    async fn keep(&self, mut connection: Connection) {
        connection.used = Instant::now();
        *self.connection.lock().await = Some(connection);
    }

    /// The connection, or a new one if it was idle for so long that the host may just be closing it.
    async fn usable(&self, connection: Option<Connection>) -> Result<Connection, Problem> {
        if let Some(mut connection) = connection
            && connection.used.elapsed() < CLIENT_IDLE
            && connection.sender.ready().await.is_ok()
        {
            return Ok(connection);
        }
        let gone = |error: &dyn std::fmt::Display| {
            let detail = format!(
                "the host at {} does not answer: {error}",
                self.path.display()
            );
            Problem::new(Code::Unreachable, detail)
        };
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|error| gone(&error))?;
        shake_hands(stream).await.map_err(|error| gone(&error))
    }
}

/// What is said when the host goes away before it has answered.
fn broken(error: &dyn std::fmt::Display, changes: bool) -> Problem {
    if changes {
        let detail = format!(
            "the host went away before it answered ({error}): whether it was done is not known"
        );
        Problem::new(Code::OutcomeUnknown, detail)
    } else {
        Problem::new(
            Code::Unreachable,
            format!("the host went away before it answered: {error}"),
        )
    }
}

async fn shake_hands(stream: UnixStream) -> Result<Connection, hyper::Error> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; what goes wrong in it, the sender is told too.
    tokio::spawn(connection);
    Ok(Connection {
        sender,
        used: Instant::now(),
    })
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the host answers what this command does not understand ({error}): is it of another version?");
        Problem::new(Code::Other, detail)
    })
}
