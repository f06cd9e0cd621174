//! A client of HTTP/1.1 that costs next to nothing, so that what is measured is the server.
//!
//! It knows one connection, kept open, with one request at a time, and answers with a length. Requests
//! are made by hand; nothing of an answer is looked at but its status and its body.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer whose body stays where it was read.
pub struct Answer<'c> {
    pub status: u16,
    pub body: &'c [u8],
}

/// What an answer says of itself in its head.
struct Head {
    status: u16,
    length: usize,
    /// Bytes of the head, with the empty line.
    size: usize,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            read: Vec::with_capacity(4096),
        })
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            if let Some(head) = head(&self.read)? {
                break head;
            }
            self.more().await?;
        };
        while self.read.len() < head.size + head.length {
            self.more().await?;
        }
        Ok(Answer {
            status: head.status,
            body: &self.read[head.size..head.size + head.length],
        })
    }

    /// Sends a request whose answer has to be a success, and gives its body.
    pub async fn done(&mut self, request: &[u8]) -> Result<&[u8]> {
        let answer = self.ask(request).await?;
        if !(200..300).contains(&answer.status) {
            bail!(
                "{} to {:?}: {}",
                answer.status,
                String::from_utf8_lossy(&request[..request.len().min(80)]),
                String::from_utf8_lossy(answer.body)
            );
        }
        Ok(answer.body)
    }

    async fn more(&mut self) -> Result<()> {
        if self.read.len() > MAX_ANSWER {
            bail!("an answer has more than {MAX_ANSWER} bytes");
        }
        match self.stream.read_buf(&mut self.read).await? {
            0 => bail!("the server closed the connection"),
            _ => Ok(()),
        }
    }
}

/// The head at the beginning of these bytes, if all of it is there.
fn head(read: &[u8]) -> Result<Option<Head>> {
    let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&read[..end]).context("the head of an answer is no text")?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut head = Head {
        status: status.with_context(|| format!("{first:?} is no status line"))?,
        length: 0,
        size: end + 4,
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            head.length = value.trim().parse().context("a length is no number")?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("an answer comes in chunks, which this client does not read");
        }
    }
    Ok(Some(head))
}

/// A request with a body of JSON.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    post_as(path, "application/json", "", body)
}

/// A request with a body of this type, and further lines of its head.
pub fn post_as(path: &str, content_type: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_all_of_it_is_there() {
        let text =
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\ncontent-length: 5\r\n\r\nhello";
        assert!(head(&text[..40]).unwrap().is_none());
        let head = head(text).unwrap().unwrap();
        assert_eq!((head.status, head.length), (503, 5));
        assert_eq!(&text[head.size..], b"hello");
        assert!(super::head(b"nonsense\r\n\r\n").is_err());
        assert!(super::head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
