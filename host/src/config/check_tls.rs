//! The rules between the files of TLS of a listener: a certificate and its key, and authorities of clients
//! only beside them.

use std::path::{Path, PathBuf};

use super::problem::Problems;
use super::raw::RawTls;
use super::section::Given;
use crate::net::TlsFiles;

/// The files that the table `table` names, in a file in the folder `base`; none, if it names none.
pub fn build(
    table: &str,
    raw: &RawTls,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<TlsFiles> {
    let [cert_key, key_key, ca_key] =
        ["tls_cert", "tls_key", "client_ca"].map(|name| format!("{table}.{name}"));
    let cert = path(&cert_key, &raw.cert, base, problems);
    let key = path(&key_key, &raw.key, base, problems);
    let client_ca = path(&ca_key, &raw.client_ca, base, problems);
    match (&raw.cert, &raw.key) {
        (Some(_), Some(_)) => {}
        (None, None) => {
            if let Some(given) = &raw.client_ca {
                let message = format!(
                    "`{ca_key}` asks for certificates of clients, and without TLS they have none"
                );
                let cure = format!("give `{cert_key}` and `{key_key}` too");
                problems.error(given.span(), &ca_key, message, cure);
            }
        }
        (Some(given), None) => half(given, &cert_key, &key_key, problems),
        (None, Some(given)) => half(given, &key_key, &cert_key, problems),
    }
    Some(TlsFiles {
        cert: cert?,
        key: key?,
        client_ca,
    })
}

fn half(given: &toml::Spanned<String>, key: &str, other: &str, problems: &mut Problems<'_>) {
    let message = format!("`{key}` is given, and `{other}` is not");
    let cure = format!("give `{other}` too: one is of no use without the other");
    problems.error(given.span(), key, message, cure);
}

fn path(
    key: &str,
    given: &Given<String>,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<PathBuf> {
    let typed = given.as_ref()?;
    if typed.get_ref().is_empty() || typed.get_ref().contains('\0') {
        problems.error(typed.span(), key, format!("`{key}` is not a path"), None);
        return None;
    }
    Some(base.join(typed.get_ref()))
}
