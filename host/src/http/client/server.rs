//! A host on the network: where it is, whom to believe, and what to show it.

use std::fmt;
use std::path::Path;

use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, Uri};

use crate::net::{self, Stream, Trust, TrustError};

/// The port of a URL that names none.
const PORT: u16 = 7733;

/// A token, as it is shown to a host. It stands in no message.
#[derive(Clone)]
pub struct Token(HeaderValue);

/// A host on the network.
#[derive(Clone)]
pub struct Server {
    url: String,
    host: String,
    port: u16,
    authority: HeaderValue,
    trust: Option<Trust>,
    token: Option<Token>,
}

/// Why a host on the network cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum BadServer {
    /// The URL is none of a host's.
    #[error("{0:?} is not the URL of a host: write it as http://HOST:7733 or https://HOST:7733")]
    Url(String),
    /// The token is none.
    #[error("the token is none: it begins with gm_, and was shown when it was made")]
    Token,
    /// No authority can be believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Token {
    /// Reads a token; what is around it is thrown away.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn read(text: &str) -> Result<Self, BadServer> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadServer::Token);
        }
        let mut value =
            HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| BadServer::Token)?;
        value.set_sensitive(true);
        Ok(Token(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Server {
    /// The host at a URL.
    ///
    /// # Errors
    /// When the URL is none, or no certificate can be believed.
    pub fn at(url: &str, token: Option<Token>, ca_cert: Option<&Path>) -> Result<Self, BadServer> {
        let bad = || BadServer::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let authority = uri
            .authority()
            .filter(|given| plain && !given.as_str().contains('@'));
        let authority = authority.ok_or_else(bad)?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let named = authority.as_str() != authority.host();
        if named && authority.port_u16().is_none() {
            return Err(bad());
        }
        let port = authority.port_u16().unwrap_or(PORT);
        let named = format!("{}:{port}", authority.host());
        Ok(Server {
            url: url.trim_end_matches('/').to_owned(),
            host: host.to_owned(),
            port,
            authority: HeaderValue::from_str(&named).map_err(|_| bad())?,
            trust: secure.then(|| Trust::load(ca_cert)).transpose()?,
            token,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn connect(&self) -> Result<Stream, String> {
        let connected = net::connect(&self.host, self.port, self.trust.as_ref()).await;
        connected.map_err(|error| {
            let text = error.to_string();
            if text.contains("UnknownIssuer") {
                return format!("{text}: name the authority of its certificate with --ca-cert");
            }
            text
        })
    }

    /// Says whom the request is for, and who asks.
    pub(super) fn introduce<B>(&self, request: &mut Request<B>) {
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.clone());
        if let Some(Token(token)) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_nothing_else() {
        let read = |url: &str| {
            let server = Server::at(url, None, None).ok()?;
            let authority = server.authority.to_str().ok()?.to_owned();
            Some((server.host.clone(), server.port, authority))
        };
        let expected =
            |host: &str, port, authority: &str| Some((host.to_owned(), port, authority.to_owned()));
        assert_eq!(
            read("http://localhost"),
            expected("localhost", 7733, "localhost:7733")
        );
        assert_eq!(
            read("http://10.0.0.1:80/"),
            expected("10.0.0.1", 80, "10.0.0.1:80")
        );
        assert_eq!(read("http://[::1]:9"), expected("::1", 9, "[::1]:9"));
        for wrong in [
            "",
            "localhost:7733",
            "ftp://x",
            "http://",
            "http://x/v1",
            "http://x?a",
            "http://u:p@x",
            "http://x:99999",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_is_read_without_what_is_around_it_and_never_shown() {
        let token = Token::read(" gm_abc_def\n").unwrap();
        assert_eq!(token.0.to_str().unwrap(), "Bearer gm_abc_def");
        assert!(!format!("{token:?} {:?}", token.0).contains("gm_"));
        for wrong in ["", "  ", "a b", "a\nb", "ü"] {
            Token::read(wrong).unwrap_err();
        }
    }
}
