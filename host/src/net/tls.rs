//! TLS of a listener: certificates from files, read again when they change.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::limits::{CERTIFICATES_CHECKED, MAX_PEM};

/// Where the certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain of certificates, the host's own first, as PEM.
    pub cert: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// The authorities of which each client has to have a certificate, as PEM; if none is given,
    /// clients need none.
    pub client_ca: Option<PathBuf>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {problem}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// What is in the files cannot be used.
    #[error("{cert} and {key} cannot be used together: {problem}", cert = .cert.display(), key = .key.display())]
    Unusable {
        /// The certificates.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        problem: String,
    },
    /// The authorities of clients cannot be used.
    #[error("{path} has no authority that clients could be held against: {problem}", path = .path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// What tells that the files are others than before.
type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

/// TLS of a listener. Clones are one.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    checked_every: Duration,
    seen: Mutex<(Instant, Stamp)>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be read, or do not fit together.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        Self::checked_every(files, CERTIFICATES_CHECKED)
    }

    /// The same, with another time between looks at the files.
    pub(super) fn checked_every(
        files: TlsFiles,
        checked_every: Duration,
    ) -> Result<Self, TlsError> {
        let stamp = stamp(&files);
        let config = load(&files)?;
        Ok(Tls(Arc::new(Inner {
            files,
            config: ArcSwap::from_pointee(config),
            checked_every,
            seen: Mutex::new((Instant::now(), stamp)),
        })))
    }

    pub(super) async fn accept<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.refresh();
        TlsAcceptor::from(self.0.config.load_full())
            .accept(stream)
            .await
    }

    /// Reads the files again if they have changed. What cannot be used is reported, once, and the
    /// certificates that were there before go on.
    fn refresh(&self) {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0.elapsed() < self.0.checked_every {
            return;
        }
        let stamp = stamp(&self.0.files);
        let changed = seen.1 != stamp;
        *seen = (Instant::now(), stamp);
        if !changed {
            return;
        }
        match load(&self.0.files) {
            Ok(config) => {
                self.0.config.store(Arc::new(config));
                tracing::info!(
                    "new certificates from {} are in use",
                    self.0.files.cert.display()
                );
            }
            Err(error) => tracing::error!("{error}; the certificates from before go on"),
        }
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let all = [
        Some(&files.cert),
        Some(&files.key),
        files.client_ca.as_ref(),
    ];
    let found = all.into_iter().flatten().map(|path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
    });
    found.collect()
}

/// Reads a file of PEM, within limits.
pub(super) fn read_pem(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |problem: String| TlsError::Unreadable {
        path: path.to_owned(),
        problem,
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut text = Vec::new();
    let read = file.take(MAX_PEM + 1).read_to_end(&mut text);
    read.map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > MAX_PEM {
        return Err(unreadable(format!("it has more than {MAX_PEM} bytes")));
    }
    Ok(text)
}

/// The certificates in a file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_pem(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let unreadable = |problem: String| TlsError::Unreadable {
        path: path.to_owned(),
        problem,
    };
    let found = found.map_err(|error| unreadable(format!("it is no PEM: {error}")))?;
    if found.is_empty() {
        return Err(unreadable("there is no certificate in it".to_owned()));
    }
    Ok(found)
}

/// Certificates as authorities.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authorities {
                path: path.to_owned(),
                problem: error.to_string(),
            })?;
    }
    Ok(roots)
}

fn load(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let unusable = |problem: String| TlsError::Unusable {
        cert: files.cert.clone(),
        key: files.key.clone(),
        problem,
    };
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&read_pem(&files.key)?).map_err(|_| {
        // What the parser says could be a part of it.
        TlsError::Unreadable {
            path: files.key.clone(),
            problem: "there is no private key in it, or one with a passphrase".to_owned(),
        }
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::Authorities {
                path: path.clone(),
                problem: error.to_string(),
            })?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
