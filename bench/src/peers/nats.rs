//! NATS JetStream with streams on disk and `sync_interval: always`.
//!
//! A worker pulls, publishes what follows, waits for the confirmation of that, and then for the one of its
//! ack.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use super::clock::Clock;
use super::wire::{Sending, Wire, line};
use crate::server::{Program, Server};
use crate::work;

pub const SETTINGS: &str =
    "JetStream on disk, sync_interval: always; work-queue stream, explicit acks that are confirmed";
/// So many are asked for at once; the half of it again when half have come.
const BATCH: usize = 256;
const HELLO: &str =
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"protocol\":1}\r\nPING\r\n";
/// Of what is asked for, in nanoseconds.
const EXPIRES: u64 = 60_000_000_000;

pub fn start(trace: bool) -> Result<Server> {
    Server::start("nats", trace, |folder, port| {
        let config = folder.join("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {folder:?}, sync_interval: always }}\n"
        );
        fs::write(&config, text)?;
        let mut program = Program::new("nats-server")?;
        program.arg("-c").arg(config);
        Ok(program)
    })
}

/// A message that the server hands over, and how many bytes it took.
struct Delivered<'b> {
    subject: &'b str,
    reply: Option<&'b str>,
    body: &'b [u8],
    /// Whether it has a head, which only what the server itself says has here.
    headed: bool,
}

/// What stands at the beginning: a message, or something else that says nothing to us. `None` if more has
/// to come.
fn next(ahead: &[u8]) -> Result<Option<(usize, Option<Delivered<'_>>)>> {
    let Some(head) = line(ahead) else {
        return Ok(None);
    };
    let size = head.len() + 2;
    let head = std::str::from_utf8(head)?;
    let words: Vec<&str> = head.split(' ').collect();
    let headed = words[0] == "HMSG";
    if words[0] != "MSG" && !headed {
        ensure!(!head.starts_with("-ERR"), "the server says {head}");
        return Ok(Some((size, None)));
    }
    let length: usize = words[words.len() - 1].parse()?;
    if ahead.len() < size + length + 2 {
        return Ok(None);
    }
    let plain = if headed { 5 } else { 4 };
    let delivered = Delivered {
        subject: words[1],
        reply: (words.len() > plain).then(|| words[3]),
        body: &ahead[size..size + length],
        headed,
    };
    Ok(Some((size + length + 2, Some(delivered))))
}

fn publish(subject: &str, reply: &str, body: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(format!("PUB {subject} {reply} {}\r\n", body.len()).as_bytes());
    into.extend_from_slice(body);
    into.extend_from_slice(b"\r\n");
}

async fn open(server: &Server, inbox: &str) -> Result<Wire> {
    let mut wire = Wire::open(server.address).await?;
    wire.write(format!("{HELLO}SUB {inbox}.> 1\r\n").as_bytes())
        .await?;
    while wire.line().await? != "PONG" {}
    Ok(wire)
}

/// Makes the streams and the consumer.
pub async fn prepare(server: &Server) -> Result<()> {
    let mut wire = open(server, "_INBOX.make").await?;
    let stream = |name: &str, subject: &str, retention: &str| json!({ "name": name, "subjects": [subject], "retention": retention, "storage": "file" });
    let consumer = json!({ "stream_name": "IN", "config": {
        "durable_name": "work", "ack_policy": "explicit", "max_ack_pending": 16_384 } });
    let (first, second) = (
        stream("IN", "in", "workqueue"),
        stream("OUT", "out", "limits"),
    );
    order(&mut wire, "STREAM.CREATE.IN", &first).await?;
    order(&mut wire, "STREAM.CREATE.OUT", &second).await?;
    order(&mut wire, "CONSUMER.DURABLE.CREATE.IN.work", &consumer).await
}

/// Forgets what was sent on.
pub async fn reset(server: &Server) -> Result<()> {
    let mut wire = open(server, "_INBOX.make").await?;
    order(&mut wire, "STREAM.PURGE.OUT", &json!({})).await
}

/// Has the server do something, and waits until it is done.
async fn order(wire: &mut Wire, what: &str, order: &serde_json::Value) -> Result<()> {
    let mut bytes = Vec::new();
    let subject = format!("$JS.API.{what}");
    publish(
        &subject,
        "_INBOX.make.x",
        order.to_string().as_bytes(),
        &mut bytes,
    );
    wire.write(&bytes).await?;
    loop {
        if let Some((size, delivered)) = next(wire.ahead())? {
            let said = delivered.map(|said| String::from_utf8_lossy(said.body).into_owned());
            wire.take(size);
            let Some(said) = said else { continue };
            ensure!(!said.contains("\"error\""), "{what}: {said}");
            return Ok(());
        }
        wire.more().await?;
    }
}

pub struct Publish(String);

pub async fn producer(server: &Server, number: usize) -> Result<(Wire, Publish)> {
    let inbox = format!("_INBOX.p{number}");
    let wire = open(server, &inbox).await?;
    Ok((wire, Publish(format!("{inbox}.x"))))
}

impl Sending for Publish {
    fn encode(&mut self, orders: Range<usize>, into: &mut Vec<u8>) {
        for order in orders {
            publish("in", &self.0, &work::order(order), into);
        }
    }

    fn confirmed(&mut self, ahead: &[u8]) -> Result<Option<(usize, usize)>> {
        let Some((size, said)) = next(ahead)? else {
            return Ok(None);
        };
        let Some(said) = said else {
            return Ok(Some((size, 0)));
        };
        check(&said)?;
        Ok(Some((size, 1)))
    }
}

/// A confirmation that a stream keeps something.
fn check(said: &Delivered<'_>) -> Result<()> {
    let kept = said.body.windows(6).any(|found| found == b"\"seq\":");
    ensure!(
        kept,
        "a publish is answered: {}",
        String::from_utf8_lossy(said.body)
    );
    Ok(())
}

pub async fn consume(server: Rc<Server>, clock: Rc<Clock>, worker: usize) -> Result<()> {
    let inbox = format!("_INBOX.w{worker}");
    let mut wire = open(&server, &inbox).await?;
    let pull = |batch: usize, into: &mut Vec<u8>| {
        let order = json!({ "batch": batch, "expires": EXPIRES }).to_string();
        let subject = "$JS.API.CONSUMER.MSG.NEXT.IN.work";
        publish(subject, &format!("{inbox}.fetch"), order.as_bytes(), into);
    };
    let (sent, acked) = (format!("{inbox}.o."), format!("{inbox}.a."));
    let mut acks: HashMap<usize, String> = HashMap::new();
    let (mut bytes, mut asked) = (Vec::new(), 0);
    loop {
        if asked <= BATCH / 2 {
            pull(BATCH - asked, &mut bytes);
            asked = BATCH;
        }
        while let Some((size, delivered)) = next(wire.ahead())? {
            if let Some(said) = delivered {
                if said.subject == "in" {
                    // More than is known of, if one of two requests has expired and the other has not.
                    asked = asked.saturating_sub(1);
                    let (number, sum) = work::sum(said.body).context("a message is no order")?;
                    let ack = said.reply.context("a message without a reply")?;
                    acks.insert(number, ack.to_owned());
                    publish("out", &format!("{sent}{number}"), &sum, &mut bytes);
                } else if let Some(number) = said.subject.strip_prefix(&sent) {
                    check(&said)?;
                    let number: usize = number.parse()?;
                    let ack = acks.remove(&number).context("confirmed twice")?;
                    publish(&ack, &format!("{acked}{number}"), b"+ACK", &mut bytes);
                } else if let Some(number) = said.subject.strip_prefix(&acked) {
                    clock.handled(number.parse()?);
                } else if said.headed {
                    // What was asked for has expired.
                    asked = 0;
                } else {
                    bail!("a message to {:?}", said.subject);
                }
            }
            wire.take(size);
        }
        if !bytes.is_empty() {
            wire.write(&bytes).await?;
            bytes.clear();
        }
        wire.more().await?;
    }
}
