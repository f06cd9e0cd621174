//! The loop that accepts connections, and what becomes of each.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{
    ACCEPT_PAUSE, HANDSHAKE_TIMEOUT, MAX_HEAD, MAX_HEADERS, MAX_SOCKET_CONNECTIONS,
    MAX_TURNED_AWAY, Pace, SOCKET_HEAD_TIMEOUT, STOP_TIMEOUT, TURN_AWAY_TIMEOUT, WRITE_TIMEOUT,
};
use super::paced::Paced;
use super::{Peer, Tls};

/// What one who is turned away is told.
const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Content-Type: application/problem+json\r\nRetry-After: 1\r\nConnection: close\r\n\
    Content-Length: 177\r\n\r\n\
    {\"type\":\"urn:gristmill:problem:busy\",\"title\":\"The host is busy\",\"status\":503,\
    \"code\":\"busy\",\"detail\":\"so many are connected already as may be: try again shortly, or close some\"}\n";

/// Why nothing is listened to.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be listened to: {source}; {cure}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
    cure: &'static str,
}

/// Listens at an address; connections wait until [`serve`] takes them.
///
/// # Errors
/// When the system refuses, for instance because another process listens there.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    bound().map_err(|source| ListenError {
        address,
        cure: match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another process listens there: stop it, or choose another port"
            }
            io::ErrorKind::AddrNotAvailable => "no network of this machine has that address",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege: choose another port"
            }
            _ => "choose another address",
        },
        source,
    })
}

/// What is listened to.
pub enum Listening {
    /// The local socket.
    Socket(UnixListener),
    /// The network.
    Network {
        /// Where.
        listener: TcpListener,
        /// How it is kept private, if it is.
        tls: Option<Tls>,
        /// The most connections at once; more are turned away.
        most: usize,
        /// How long they may take.
        pace: Pace,
    },
}

impl Listening {
    fn most(&self) -> usize {
        match self {
            Listening::Socket(_) => MAX_SOCKET_CONNECTIONS,
            Listening::Network { most, .. } => *most,
        }
    }
}

enum Accepted {
    Socket(UnixStream),
    Network(TcpStream, SocketAddr),
}

/// Hands connections to a service until `stop` is ready, then lets open requests end for a while.
///
/// The service is any of hyper's; one of tower's becomes one with
/// `hyper_util::service::TowerToHyperService`. With each request comes a [`Peer`].
pub async fn serve<S, B>(listening: Listening, service: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let open = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(listening.most()));
    let refusals = Arc::new(Semaphore::new(MAX_TURNED_AWAY));
    let mut stop = pin!(stop);
    loop {
        // On the socket more have to wait, and are taken when there is a place.
        let place = match &listening {
            Listening::Socket(_) => tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place.ok(),
                () = &mut stop => break,
            },
            Listening::Network { .. } => None,
        };
        let accepted = tokio::select! {
            next = accept(&listening) => next,
            () = &mut stop => break,
        };
        let (service, watcher) = (service.clone(), open.watcher());
        match (accepted, &listening) {
            (Accepted::Socket(stream), _) => {
                let peer = Peer::Local {
                    uid: stream.peer_cred().ok().map(|peer| peer.uid()),
                };
                let service = Introduced { service, peer };
                tokio::spawn(async move {
                    let _place = place;
                    connection(
                        Paced::new(stream, WRITE_TIMEOUT),
                        service,
                        SOCKET_HEAD_TIMEOUT,
                        watcher,
                    )
                    .await;
                });
            }
            (Accepted::Network(stream, address), Listening::Network { tls, pace, .. }) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    turn_away(stream, tls.is_some(), &refusals);
                    continue;
                };
                let peer = Peer::Remote {
                    address,
                    secure: tls.is_some(),
                };
                let service = Introduced { service, peer };
                tokio::spawn(networked(
                    stream,
                    tls.clone(),
                    service,
                    *pace,
                    (watcher, place),
                ));
            }
            (Accepted::Network(..), Listening::Socket(_)) => {}
        }
    }
    drop(listening);
    if tokio::time::timeout(STOP_TIMEOUT, open.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still open when the host stopped");
    }
}

async fn accept(listening: &Listening) -> Accepted {
    loop {
        let accepted = match listening {
            Listening::Socket(listener) => {
                let next = listener.accept().await;
                next.map(|(stream, _)| Accepted::Socket(stream))
            }
            Listening::Network { listener, .. } => {
                let next = listener.accept().await;
                next.map(|(stream, address)| Accepted::Network(stream, address))
            }
        };
        match accepted {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection is taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn networked<S, B>(
    stream: TcpStream,
    tls: Option<Tls>,
    service: Introduced<S>,
    pace: Pace,
    (watcher, place): (Watcher, OwnedSemaphorePermit),
) where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let _place = place;
    // An answer is one write; waiting for more only makes it later.
    let _ = stream.set_nodelay(true);
    let stream = Paced::new(stream, pace.write);
    let Some(tls) = tls else {
        return connection(stream, service, pace.head, watcher).await;
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection(stream, service, pace.head, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, peer = %service.peer, "no TLS with a client"),
        Err(_) => tracing::debug!(peer = %service.peer, "the TLS handshake took too long"),
    }
}

async fn connection<T, S, B>(stream: T, service: S, head_timeout: Duration, watcher: Watcher)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_header_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Says that there is no place, if that can be done at once and without waiting for anybody.
fn turn_away(mut stream: TcpStream, private: bool, refusals: &Arc<Semaphore>) {
    let Ok(permit) = Arc::clone(refusals).try_acquire_owned() else {
        return;
    };
    if private {
        return;
    }
    tokio::spawn(async move {
        let _permit = permit;
        let said = async {
            stream.write_all(TURNED_AWAY).await?;
            stream.shutdown().await?;
            // Closed with something unread, the answer would be thrown away at the other end.
            let mut unread = [0; 4096];
            while stream.read(&mut unread).await? > 0 {}
            io::Result::Ok(())
        };
        let _ = tokio::time::timeout(TURN_AWAY_TIMEOUT, said).await;
    });
}

/// A service that is told who asks.
#[derive(Clone)]
struct Introduced<S> {
    service: S,
    peer: Peer,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Introduced<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(self.peer);
        self.service.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_who_is_turned_away_is_told_is_a_whole_answer() {
        let text = std::str::from_utf8(TURNED_AWAY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{}",
            body.len()
        );
        let problem: crate::api::ProblemJson = serde_json::from_str(body).unwrap();
        assert_eq!(problem.code.as_str(), "busy");
    }
}
