//! The rules between the keys of `[api]`: nobody is let in from elsewhere without a proof.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::check::{or_default, value};
use super::problem::Problems;
use super::raw::RawApi;
use super::section::Given;
use super::{ApiAuth, ApiConfig, check_flow, defaults};
use crate::net::TlsFiles;

/// Builds `[api]` of a file in the folder `base`.
pub fn build(raw: &RawApi, base: &Path, problems: &mut Problems<'_>) -> ApiConfig {
    let listen = raw
        .listen
        .as_ref()
        .and_then(|typed| address("api.listen", typed, problems));
    let config = ApiConfig {
        listen,
        auth: value(&raw.auth).unwrap_or(ApiAuth::None),
        tls: tls(raw, base, problems),
        max_connections: or_default(&raw.max_connections, &defaults::MAX_CONNECTIONS),
        rate: check_flow::rate(&raw.rate, &None),
        rate_per_client: check_flow::rate(&raw.rate_per_client, &None),
    };
    if let (Some(typed), Some(address)) = (&raw.listen, listen)
        && !address.ip().is_loopback()
    {
        check_open(typed, &config, problems);
    }
    note_idle(raw, problems);
    config
}

/// Reads an address to listen at.
pub fn address(
    key: &str,
    typed: &Spanned<String>,
    problems: &mut Problems<'_>,
) -> Option<SocketAddr> {
    let text = typed.get_ref();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let cure = match text.rsplit_once(':') {
        Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\""),
        Some(("" | "*", port)) => format!(
            "write \"0.0.0.0:{port}\" for all networks, or \"127.0.0.1:{port}\" for this machine only"
        ),
        _ => "write an address and a port, such as \"127.0.0.1:7733\" or \"[::1]:7733\"".to_owned(),
    };
    let message = format!("`{key}` is not an address with a port: {text:?}");
    problems.error(typed.span(), key, message, cure);
    None
}

/// What is reached from elsewhere wants a proof from everybody, and had better be private.
fn check_open(typed: &Spanned<String>, config: &ApiConfig, problems: &mut Problems<'_>) {
    const KEY: &str = "api.listen";
    if config.auth == ApiAuth::None {
        let message =
            format!("`{KEY}` can be reached from other machines, and `api.auth` lets everybody in");
        let cure = "write auth = \"token\" and make tokens with `gristmill token create`, or listen at 127.0.0.1";
        problems.error(typed.span(), KEY, message, cure.to_owned());
    } else if config.tls.is_none() {
        let message = format!(
            "`{KEY}` can be reached from other machines without TLS: tokens can be read on the way"
        );
        let cure = "give `api.tls_cert` and `api.tls_key`, unless a proxy in front has them";
        problems.warning(typed.span(), KEY, message, cure.to_owned());
    }
}

fn tls(raw: &RawApi, base: &Path, problems: &mut Problems<'_>) -> Option<TlsFiles> {
    let keys = [
        ("api.tls_cert", &raw.tls_cert),
        ("api.tls_key", &raw.tls_key),
        ("api.client_ca", &raw.client_ca),
    ];
    let mut paths = keys
        .into_iter()
        .map(|(key, given)| path(key, given, base, problems));
    let (cert, key, client_ca) = (paths.next()?, paths.next()?, paths.next()?);
    drop(paths);
    match (cert, key) {
        (Some(cert), Some(key)) => Some(TlsFiles {
            cert,
            key,
            client_ca,
        }),
        (None, None) => {
            if let Some(given) = &raw.client_ca
                && raw.tls_cert.is_none()
                && raw.tls_key.is_none()
            {
                let message = "`api.client_ca` asks for certificates of clients, and without TLS they have none";
                let cure = "give `api.tls_cert` and `api.tls_key` too";
                problems.error(given.span(), "api.client_ca", message, cure.to_owned());
            }
            None
        }
        (cert, _) => {
            let (key, other, given) = if cert.is_some() {
                ("api.tls_cert", "tls_key", &raw.tls_cert)
            } else {
                ("api.tls_key", "tls_cert", &raw.tls_key)
            };
            // The other one may have been typed, and be wrong: that was said.
            let both = raw.tls_cert.is_some() && raw.tls_key.is_some();
            if let Some(given) = given.as_ref().filter(|_| !both) {
                let message = format!("`{key}` is given, and `api.{other}` is not");
                let cure = format!("give `api.{other}` too: one is of no use without the other");
                problems.error(given.span(), key, message, cure);
            }
            None
        }
    }
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

/// Notes keys that do nothing because nothing is listened to.
fn note_idle(raw: &RawApi, problems: &mut Problems<'_>) {
    if raw.listen.is_some() {
        return;
    }
    let idle = [
        ("api.auth", raw.auth.as_ref().map(Spanned::span)),
        ("api.tls_cert", raw.tls_cert.as_ref().map(Spanned::span)),
        ("api.rate", raw.rate.as_ref().map(Spanned::span)),
        (
            "api.rate_per_client",
            raw.rate_per_client.as_ref().map(Spanned::span),
        ),
    ];
    for (key, place) in idle {
        let Some(place) = place else { continue };
        let message = format!("`{key}` does nothing without `api.listen`");
        let cure = "write listen = \"127.0.0.1:7733\", or remove it";
        problems.warning(place, key, message, cure.to_owned());
    }
}
