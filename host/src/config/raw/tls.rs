//! The files of TLS, as they were typed in the table of a listener.

use crate::config::problem::Problems;
use crate::config::section::{Given, Section};

/// `tls_cert`, `tls_key` and `client_ca`.
#[derive(Default)]
pub struct RawTls {
    pub cert: Given<String>,
    pub key: Given<String>,
    pub client_ca: Given<String>,
}

impl RawTls {
    /// Reads the keys of a table that has been looked through for others.
    pub fn read(table: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        RawTls {
            cert: table.text("tls_cert", problems),
            key: table.text("tls_key", problems),
            client_ca: table.text("client_ca", problems),
        }
    }
}
