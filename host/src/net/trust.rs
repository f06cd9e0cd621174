//! The client's side of a connection: TCP, with TLS by the authorities that it trusts.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::limits::CONNECT_TIMEOUT;
use super::tls::{TlsError, authorities};

/// Why no authority can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of them cannot be used.
    #[error(transparent)]
    File(#[from] TlsError),
    /// The system has none.
    #[error("this system has no certificates of authorities: name a file of them with --ca-cert")]
    None,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Unusable(String),
}

/// Whose certificates a client believes.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// The authorities in a file of PEM, or else those of the system.
    ///
    /// # Errors
    /// When there are none that can be used.
    pub fn load(file: Option<&Path>) -> Result<Self, TrustError> {
        let roots = match file {
            Some(path) => authorities(path)?,
            None => of_the_system()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError::Unusable(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Trust(Arc::new(config)))
    }
}

fn of_the_system() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let (good, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if good == 0 {
        return Err(TrustError::None);
    }
    Ok(roots)
}

/// A connection of a client.
pub enum Stream {
    /// To the local socket.
    Socket(UnixStream),
    /// Over the network, as it is.
    Plain(TcpStream),
    /// Over the network, kept private.
    Private(Box<TlsStream<TcpStream>>),
}

/// Connects to a host on the network.
///
/// # Errors
/// When nobody listens there, or its certificate is not believed.
pub async fn connect(host: &str, port: u16, trust: Option<&Trust>) -> io::Result<Stream> {
    let connected = async {
        let stream = TcpStream::connect((host, port)).await?;
        let _ = stream.set_nodelay(true);
        let Some(Trust(config)) = trust else {
            return Ok(Stream::Plain(stream));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, stream).await?;
        Ok(Stream::Private(Box::new(stream)))
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
        Ok(connected) => connected,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("nobody answered within {} s", CONNECT_TIMEOUT.as_secs()),
        )),
    }
}

/// Passes a call on to whichever stream it is.
macro_rules! whichever {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Socket(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
            Stream::Plain(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
            Stream::Private(inner) => {
                let $stream = Pin::new(&mut **inner);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        whichever!(self, stream => stream.poll_read(context, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        whichever!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        whichever!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        whichever!(self, stream => stream.poll_shutdown(context))
    }
}
