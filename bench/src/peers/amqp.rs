//! As much of AMQP 0-9-1 as it takes to publish with confirmations, and to consume with acks.

use anyhow::{Result, bail, ensure};

use super::wire::Wire;

pub const METHOD: u8 = 1;
pub const HEADER: u8 = 2;
pub const BODY: u8 = 3;
const END: u8 = 0xCE;

/// Methods, as class and number.
pub const DELIVER: (u16, u16) = (60, 60);
pub const ACK: (u16, u16) = (60, 80);

pub struct Frame<'b> {
    pub kind: u8,
    pub payload: &'b [u8],
}

impl Frame<'_> {
    /// Which method it is, if it is one.
    pub fn method(&self) -> Option<(u16, u16)> {
        (self.kind == METHOD && self.payload.len() >= 4).then(|| {
            let two = |at: usize| u16::from_be_bytes([self.payload[at], self.payload[at + 1]]);
            (two(0), two(2))
        })
    }

    /// Eight bytes of it, as a number.
    pub fn long(&self, at: usize) -> Result<u64> {
        let bytes = self
            .payload
            .get(at..at + 8)
            .and_then(|eight| eight.try_into().ok());
        bytes.map_or_else(
            || bail!("a frame is too short"),
            |eight| Ok(u64::from_be_bytes(eight)),
        )
    }
}

/// The frame at the beginning, with how many bytes it has, if all of it is there.
pub fn frame(ahead: &[u8]) -> Result<Option<(usize, Frame<'_>)>> {
    let Some(head) = ahead.get(..7) else {
        return Ok(None);
    };
    ensure!(head[0] != b'A', "the server refuses the protocol");
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    let Some(end) = ahead.get(7 + length) else {
        return Ok(None);
    };
    ensure!(*end == END, "a frame does not end where it should");
    let payload = &ahead[7..7 + length];
    Ok(Some((
        length + 8,
        Frame {
            kind: head[0],
            payload,
        },
    )))
}

pub fn put_frame(kind: u8, channel: u16, payload: &[u8], into: &mut Vec<u8>) {
    into.push(kind);
    into.extend_from_slice(&channel.to_be_bytes());
    into.extend_from_slice(
        &u32::try_from(payload.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    into.extend_from_slice(payload);
    into.push(END);
}

/// The arguments of a method, put together.
pub struct Args(Vec<u8>);

impl Args {
    pub fn of((class, method): (u16, u16)) -> Self {
        let mut args = class.to_be_bytes().to_vec();
        args.extend_from_slice(&method.to_be_bytes());
        Args(args)
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn short(self, text: &str) -> Self {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.bytes(&[length]).bytes(text.as_bytes())
    }

    pub fn long(self, text: &[u8]) -> Self {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.bytes(&length.to_be_bytes()).bytes(text)
    }

    /// A table of texts.
    pub fn table(self, pairs: &[(&str, &str)]) -> Self {
        let mut table = Args(Vec::new());
        for (name, value) in pairs {
            table = table.short(name).bytes(b"S").long(value.as_bytes());
        }
        self.long(&table.0)
    }

    pub fn put(self, channel: u16, into: &mut Vec<u8>) {
        put_frame(METHOD, channel, &self.0, into);
    }
}

/// Sends a method and waits for the answer to it.
pub async fn call(wire: &mut Wire, channel: u16, args: Args, answer: (u16, u16)) -> Result<()> {
    let mut bytes = Vec::new();
    args.put(channel, &mut bytes);
    wire.write(&bytes).await?;
    expect(wire, answer).await
}

async fn expect(wire: &mut Wire, answer: (u16, u16)) -> Result<()> {
    loop {
        if let Some((size, frame)) = frame(wire.ahead())? {
            let method = frame.method();
            let text = String::from_utf8_lossy(frame.payload).into_owned();
            wire.take(size);
            ensure!(
                method == Some(answer),
                "{answer:?} was expected, not {method:?}: {text:?}"
            );
            return Ok(());
        }
        wire.more().await?;
    }
}

/// Opens a connection as `guest`, with a channel on which publishing is confirmed.
pub async fn open(mut wire: Wire) -> Result<Wire> {
    wire.write(b"AMQP\x00\x00\x09\x01").await?;
    expect(&mut wire, (10, 10)).await?;
    let start = Args::of((10, 11)).table(&[]).short("PLAIN");
    let start = start.long(b"\0guest\0guest").short("en_US");
    call(&mut wire, 0, start, (10, 30)).await?;
    let mut tune = Vec::new();
    // 16 channels, frames of 128 KiB, no heartbeats.
    let limits = Args::of((10, 31))
        .bytes(&[0, 16])
        .bytes(&131_072u32.to_be_bytes());
    limits.bytes(&[0, 0]).put(0, &mut tune);
    wire.write(&tune).await?;
    let vhost = Args::of((10, 40)).short("/").short("").bytes(&[0]);
    call(&mut wire, 0, vhost, (10, 41)).await?;
    call(&mut wire, 1, Args::of((20, 10)).short(""), (20, 11)).await?;
    call(&mut wire, 1, Args::of((85, 10)).bytes(&[0]), (85, 11)).await?;
    Ok(wire)
}

/// Publishes a persistent message to a queue.
pub fn publish(queue: &str, body: &[u8], into: &mut Vec<u8>) {
    let to = Args::of((60, 40)).bytes(&[0, 0]).short("").short(queue);
    to.bytes(&[0]).put(1, into);
    let mut head = vec![0, 60, 0, 0];
    head.extend_from_slice(&(body.len() as u64).to_be_bytes());
    // Of all properties only the mode of delivery: 2, persistent.
    head.extend_from_slice(&[0x10, 0x00, 2]);
    put_frame(HEADER, 1, &head, into);
    put_frame(BODY, 1, body, into);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_put_and_read() {
        let mut bytes = Vec::new();
        Args::of(ACK)
            .bytes(&7u64.to_be_bytes())
            .bytes(&[1])
            .put(1, &mut bytes);
        assert!(frame(&bytes[..bytes.len() - 1]).unwrap().is_none());
        let (size, read) = frame(&bytes).unwrap().unwrap();
        assert_eq!(
            (size, read.method(), read.long(4).unwrap()),
            (bytes.len(), Some(ACK), 7)
        );
        *bytes.last_mut().unwrap() = 0;
        assert!(frame(&bytes).is_err());
    }
}
