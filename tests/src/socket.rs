//! A client of the host's socket that shares no code with the host: what it sends and takes is
//! written out, so a mistake that host and client make alike would show.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// How long to wait for any answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a host listens.
#[derive(Clone, Debug)]
pub struct Socket(PathBuf);

/// What the host answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The body, as it is.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Socket {
    /// The socket at this path.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Socket(path.to_owned())
    }

    /// Reads.
    ///
    /// # Errors
    /// When nobody listens, or the connection breaks.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, &[], b"")
    }

    /// Sends a body, with headers.
    ///
    /// # Errors
    /// When nobody listens, or the connection breaks: what was asked may or may not have been done.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        self.ask("POST", path, headers, body)
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let mut stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: gristmill\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let request = [request.as_bytes(), body].concat();
        // A host that refuses may answer before it has read all.
        let written = stream.write_all(&request);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer).map_or_else(|error| written.map_err(Into::into).and(Err(error)), Ok)
    }
}

/// An answer whose length is given; one that was cut off is none.
fn parse(bytes: &[u8]) -> Result<Answer> {
    let cut = || "the host closed the connection before its answer was whole";
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").with_context(cut)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    if length.is_some_and(|length| body.len() < length) {
        return Err(anyhow::anyhow!(cut()));
    }
    Ok(Answer {
        status: status.with_context(cut)?,
        text: body.to_owned(),
    })
}
