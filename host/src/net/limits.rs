//! Every limit of connections, by name.

use std::time::Duration;

/// Within this time the head of a request has to be there; an idle connection is closed after it. On
/// the network clients keep connections for later, so it is longer there than on the local socket.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The same on the local socket.
pub const SOCKET_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client on the network may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For the head of a request, and with a connection that is idle.
    pub head: Duration,
    /// To take [`MIN_TAKEN`] of what it is sent.
    pub write: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            head: HEAD_TIMEOUT,
            write: WRITE_TIMEOUT,
        }
    }
}

/// Within this time the TLS handshake has to be done.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Within this time a client that is sent something has to take [`MIN_TAKEN`] of it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The least bytes that a client takes within [`WRITE_TIMEOUT`].
pub const MIN_TAKEN: usize = 16 * 1024;
/// The most bytes of the head of a request; beyond that it is refused with 431.
pub const MAX_HEAD: usize = 256 * 1024;
/// The most headers of a request; beyond that it is refused with 431.
pub const MAX_HEADERS: usize = 200;
/// The most connections to the local socket at once; more have to wait.
pub const MAX_SOCKET_CONNECTIONS: usize = 256;
/// How many that are turned away may be told so at once; others are only closed.
pub const MAX_TURNED_AWAY: usize = 64;
/// How long one that is turned away may take to hear it.
pub const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long open requests may take when the server stops.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before accepting again when the system refuses, for want of descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether certificates have changed, while connections come.
pub const CERTIFICATES_CHECKED: Duration = Duration::from_secs(1);
/// The most bytes of a file of certificates, or of a key.
pub const MAX_PEM: u64 = 1024 * 1024;
/// How long a client tries to connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
