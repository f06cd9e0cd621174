//! The API at its listeners: the local socket, and the network.

use std::fs::Permissions;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hyper_util::service::TowerToHyperService;
use tokio::net::UnixListener;

use super::{Gate, router};
use crate::api::Api;
use crate::net::{self, Budget, Listening};

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

/// Answers requests over the local socket for as long as it is polled.
pub async fn serve(listener: UnixListener, api: Api) {
    serve_until(listener, api, std::future::pending()).await;
}

/// Answers requests over the local socket until `stop` is ready, then lets open ones end for a while.
pub async fn serve_until(listener: UnixListener, api: Api, stop: impl Future<Output = ()>) {
    let gate = Gate::of_socket(Budget::default());
    serve_at(Listening::Socket(listener), api, gate, stop).await;
}

/// The same at any listener, behind a gate of its own.
pub async fn serve_at(listening: Listening, api: Api, gate: Gate, stop: impl Future<Output = ()>) {
    let service = TowerToHyperService::new(router(api, gate));
    net::serve(listening, service, stop).await;
}
