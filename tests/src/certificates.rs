//! Certificates for a host on this machine, made anew each time.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A certificate with its key, and the authority that it is of, each in a file of PEM.
pub struct Certificates {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority.
    pub ca: PathBuf,
    _folder: TempDir,
}

impl Certificates {
    /// One for a host that is reached by these names or addresses.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn of(names: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // By another name than the certificate, or it would pass for signed by itself.
        let name = DnType::CommonName;
        params.distinguished_name.push(name, "an authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        let file = |name: &str, pem: String| -> Result<PathBuf> {
            let path = folder.path().join(name);
            fs::write(&path, pem)?;
            Ok(path)
        };
        Ok(Certificates {
            cert: file("cert.pem", certificate.pem())?,
            key: file("key.pem", key.serialize_pem())?,
            ca: file("ca.pem", authority.as_ref().pem())?,
            _folder: folder,
        })
    }

    /// The lines of configuration that name them.
    #[must_use]
    pub fn configuration(&self) -> String {
        format!("tls_cert = {:?}\ntls_key = {:?}\n", self.cert, self.key)
    }
}
