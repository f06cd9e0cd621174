//! Requests that a web page makes a browser send: kept out.
//!
//! A page of anybody's can make the browser of somebody who visits it send requests to this machine,
//! and, by a name that it points here, read the answers. A browser says so in `Origin`, and the name
//! stands in `Host`.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Whether a request may be answered, as far as pages of others go. Where everybody is let in who can
/// connect, `Host` has to name this machine.
///
/// # Errors
/// When it is a page's of another site, with what is wrong and what to do.
pub fn check_site(headers: &HeaderMap, everybody: bool) -> Result<(), String> {
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let host = text(&HOST).unwrap_or_default();
    if let Some(origin) = text(&ORIGIN) {
        let site = origin.split_once("://").map(|(_, site)| site);
        if site != Some(host) {
            return Err(format!(
                "a page of {origin:?} asks, which is another site than {host:?}: ask from a server of yours, not from a browser"
            ));
        }
    }
    if everybody && !is_here(host) {
        return Err(format!(
            "Host is {host:?}, and without tokens only requests to localhost or a loopback address are taken: use one of them, or api.auth = \"token\""
        ));
    }
    Ok(())
}

/// Whether a browser says that any page has made the request, be it of this site. For an endpoint where a
/// form, or a link, is all it takes to change something.
#[must_use]
pub fn is_of_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none")
}

/// Whether this is a name of this machine that no name server has a say in.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>, everybody: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        check_site(&headers, everybody).is_ok()
    }

    #[test]
    fn pages_of_others_and_names_that_point_here_are_kept_out() {
        for here in [
            "localhost",
            "localhost:7733",
            "127.0.0.1:7733",
            "127.8.0.1",
            "[::1]:7733",
        ] {
            assert!(check(here, None, true), "{here}");
        }
        for other in [
            "evil.example",
            "evil.example:7733",
            "localhost.evil.example",
            "10.0.0.1:7733",
            "",
        ] {
            assert!(!check(other, None, true), "{other}");
            assert!(check(other, None, false), "{other}");
        }
        assert!(check("localhost:7733", Some("http://localhost:7733"), true));
        for origin in ["http://evil.example", "null", "http://localhost", ""] {
            assert!(!check("localhost:7733", Some(origin), false), "{origin}");
        }
    }
}
