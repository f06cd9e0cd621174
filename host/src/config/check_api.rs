//! The rules between the keys of `[api]`: nobody is let in from elsewhere without a proof.

use std::net::SocketAddr;
use std::path::Path;

use toml::Spanned;

use super::check::{or_default, value};
use super::problem::Problems;
use super::raw::RawApi;
use super::{ApiAuth, ApiConfig, check_flow, check_tls, defaults};

/// Builds `[api]` of a file in the folder `base`.
pub fn build(raw: &RawApi, base: &Path, problems: &mut Problems<'_>) -> ApiConfig {
    let listen = raw
        .listen
        .as_ref()
        .and_then(|typed| address("api.listen", typed, problems));
    let config = ApiConfig {
        listen,
        auth: value(&raw.auth).unwrap_or(ApiAuth::None),
        tls: check_tls::build("api", &raw.tls, base, problems),
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

/// Notes keys that do nothing because nothing is listened to.
fn note_idle(raw: &RawApi, problems: &mut Problems<'_>) {
    if raw.listen.is_some() {
        return;
    }
    let idle = [
        ("api.auth", raw.auth.as_ref().map(Spanned::span)),
        ("api.tls_cert", raw.tls.cert.as_ref().map(Spanned::span)),
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
