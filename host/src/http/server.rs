//! The listener on the local socket.

use std::fs::Permissions;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{ACCEPT_PAUSE, HEAD_TIMEOUT, MAX_CONNECTIONS, STOP_TIMEOUT};
use super::router;
use crate::api::Api;

/// The name of the socket in the data folder.
pub const SOCKET: &str = "gristmill.sock";

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "the socket {path} cannot be made: {source}; use a data_dir with a short path on a local file system",
    path = .path.display()
)]
pub struct BindError {
    /// The socket.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// Makes the socket in the data folder, in place of any that is there: who calls this holds the
/// lock of the folder, so an earlier one is left over.
///
/// # Errors
/// When the system refuses, for instance because the path is too long for a socket.
pub fn bind(data_dir: &Path) -> Result<UnixListener, BindError> {
    let path = data_dir.join(SOCKET);
    let fail = |source| BindError {
        path: path.clone(),
        source,
    };
    // It appears under its name only when nobody else can connect to it any more.
    let fresh = data_dir.join(".sock");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh).map_err(fail)?;
    std::fs::set_permissions(&fresh, Permissions::from_mode(0o600)).map_err(fail)?;
    std::fs::rename(&fresh, &path).map_err(fail)?;
    Ok(listener)
}

/// Answers requests for as long as it is polled.
pub async fn serve(listener: UnixListener, api: Api) {
    serve_until(listener, api, std::future::pending()).await;
}

/// Answers requests until `stop` is ready, then lets open ones end for a while.
pub async fn serve_until(listener: UnixListener, api: Api, stop: impl Future<Output = ()>) {
    let service = TowerToHyperService::new(router(api));
    let open = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stop = pin!(stop);
    loop {
        let (stream, place) = tokio::select! {
            next = accept(&listener, &places) => next,
            () = &mut stop => break,
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the socket broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIMEOUT, open.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests over the socket were still open when the host stopped");
    }
}

async fn accept(
    listener: &UnixListener,
    places: &Arc<Semaphore>,
) -> (UnixStream, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "the socket takes no connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
