//! Connections: accepting them within limits, TLS, and closing those that are too slow.
//!
//! Knows sockets, TLS and HTTP's framing; what is asked over a connection is for the service that it
//! is handed to. Each listener has limits of its own, and stops by itself: it takes nothing more,
//! lets open requests end, and goes.

mod budget;
mod descriptors;
pub mod limits;
mod paced;
mod serve;
mod site;
#[cfg(test)]
mod tests;
mod tls;
mod trust;

use std::net::{IpAddr, SocketAddr};

pub use budget::{Budget, MAX_HELD, Share, Spent};
pub use descriptors::raise_descriptors;
pub use serve::{ListenError, Listening, listen, serve};
pub use site::{check_site, is_of_a_page};
pub use tls::{Tls, TlsError, TlsFiles};
pub use trust::{Stream, Trust, TrustError, connect};

/// Who is at the other end of a connection. It is with every request, as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine, over the local socket, which only its owner may open.
    Local {
        /// Its user, if the system tells.
        uid: Option<u32>,
    },
    /// Somebody on the network.
    Remote {
        /// From where.
        address: SocketAddr,
        /// Whether over TLS.
        secure: bool,
    },
}

impl Peer {
    /// The address, without the port.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Local { .. } => None,
            Peer::Remote { address, .. } => Some(address.ip().to_canonical()),
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Local { uid: Some(uid) } => write!(f, "socket, uid {uid}"),
            Peer::Local { uid: None } => f.write_str("socket"),
            Peer::Remote { address, .. } => write!(f, "{address}"),
        }
    }
}
