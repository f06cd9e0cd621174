//! The SQS endpoint: where it listens, and what it says of itself.
//!
//! A part of [`check`](super::check).

use std::net::SocketAddr;
use std::path::Path;

use toml::Spanned;

use super::problem::Problems;
use super::raw::RawSqs;
use super::section::Given;
use super::{SqsAuth, SqsConfig, SqsLimits, check_tls, defaults};

/// Builds the endpoint; none, if it is not to listen.
pub fn build(raw: &RawSqs, base: &Path, problems: &mut Problems<'_>) -> Option<SqsConfig> {
    let tls = check_tls::build("sqs", &raw.tls, base, problems);
    let account = text(&raw.account, defaults::SQS_ACCOUNT);
    if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
        refuse(
            &raw.account,
            "sqs.account",
            "is not twelve digits",
            problems,
        );
    }
    let region = text(&raw.region, defaults::SQS_REGION);
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if region.is_empty() || region.len() > 32 || !region.bytes().all(fits) {
        let what = "is not a region: use small letters, digits and hyphens";
        refuse(&raw.region, "sqs.region", what, problems);
    }
    let public_url = raw.public_url.as_ref().map(|given| given.get_ref().clone());
    if let Some(url) = &public_url
        && !is_base(url)
    {
        let what = "is not what a URL begins with, such as \"http://queue:9324\"";
        refuse(&raw.public_url, "sqs.public_url", what, problems);
    }
    let listen = raw.listen.as_ref()?;
    let Ok(address) = listen.get_ref().parse::<SocketAddr>() else {
        let what = "is not an address with a port, such as \"127.0.0.1:9324\"";
        refuse(&raw.listen, "sqs.listen", what, problems);
        return None;
    };
    let auth = raw.auth.as_ref();
    let auth = auth.map_or(SqsAuth::None, |given| *given.get_ref());
    if !address.ip().is_loopback() && auth == SqsAuth::None {
        let what = "can be reached from other machines, and `sqs.auth` lets everybody in: write auth = \"sigv4\" and make access keys with `gristmill token create --aws`, or listen at 127.0.0.1";
        refuse(&raw.listen, "sqs.listen", what, problems);
    }
    if !address.ip().is_loopback() && auth == SqsAuth::Sigv4 && raw.tls.cert.is_none() {
        let message = "`sqs.listen` can be reached from other machines without TLS: messages can be read on the way";
        let cure = "give `sqs.tls_cert` and `sqs.tls_key`, unless a proxy in front has them";
        problems.warning(listen.span(), "sqs.listen", message, cure.to_owned());
    }
    Some(SqsConfig {
        listen: address,
        public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        account,
        region,
        limits: raw
            .limits
            .as_ref()
            .map_or(SqsLimits::Relaxed, |given| *given.get_ref()),
        auth,
        tls,
    })
}

fn text(given: &Given<String>, default: &str) -> String {
    given
        .as_ref()
        .map_or(default, |given| given.get_ref())
        .to_owned()
}

fn is_base(url: &str) -> bool {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest.len() <= 255
            && rest
                .chars()
                .all(|c| c.is_ascii_graphic() && !"?#\"<>&".contains(c))
    })
}

fn refuse(given: &Given<String>, key: &str, what: &str, problems: &mut Problems<'_>) {
    let place = given.as_ref().map(Spanned::span).unwrap_or_default();
    let found = given.as_ref().map_or("", |given| given.get_ref());
    problems.error(place, key, format!("`{key}` {what}: {found:?}"), None);
}
