//! A connection over which requests follow each other without waiting for answers.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::clock::Clock;

pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    /// What is before it was taken.
    at: usize,
}

impl Wire {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Wire {
            stream,
            read: Vec::with_capacity(64 * 1024),
            at: 0,
        })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// What was read and not taken.
    pub fn ahead(&self) -> &[u8] {
        &self.read[self.at..]
    }

    /// Takes so many bytes.
    pub fn take(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Waits for more.
    pub async fn more(&mut self) -> Result<()> {
        self.read.drain(..self.at);
        self.at = 0;
        match self.stream.read_buf(&mut self.read).await? {
            0 => bail!("the server closed the connection"),
            _ => Ok(()),
        }
    }

    /// Waits for a line, and takes it.
    pub async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(line) = line(self.ahead()) {
                let (text, size) = (String::from_utf8_lossy(line).into_owned(), line.len() + 2);
                self.take(size);
                return Ok(text);
            }
            self.more().await?;
        }
    }
}

/// The line at the beginning, without its end, if all of it is there.
pub fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    Some(&bytes[..end])
}

/// How a peer is asked to keep orders, and how it says that it does.
pub trait Sending {
    /// Writes what asks for it.
    fn encode(&mut self, orders: std::ops::Range<usize>, into: &mut Vec<u8>);

    /// Of what came: how many bytes are understood, and how many orders are durable by them. Nothing if
    /// more has to come.
    fn confirmed(&mut self, ahead: &[u8]) -> Result<Option<(usize, usize)>>;
}

/// Sends orders until the time is over, so that at most `window` are not confirmed.
pub async fn produce(
    mut wire: Wire,
    clock: Rc<Clock>,
    window: usize,
    mut sending: impl Sending,
) -> Result<()> {
    let (mut unconfirmed, mut bytes) = (0, Vec::new());
    loop {
        let orders = if unconfirmed == 0 {
            let orders = clock.next(window).await;
            if orders.is_empty() {
                return Ok(());
            }
            orders
        } else {
            clock.take(window - unconfirmed)
        };
        if !orders.is_empty() {
            unconfirmed += orders.len();
            bytes.clear();
            sending.encode(orders, &mut bytes);
            wire.write(&bytes).await?;
        }
        let mut heard = false;
        while let Some((size, confirmed)) = sending.confirmed(wire.ahead())? {
            wire.take(size);
            unconfirmed -= confirmed;
            heard |= confirmed > 0;
        }
        if !heard {
            wire.more().await?;
        }
    }
}
