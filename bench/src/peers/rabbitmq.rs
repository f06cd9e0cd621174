//! RabbitMQ: durable queues of either kind, persistent messages, confirmations, acks by hand.
//!
//! A worker publishes what follows and acks when that is confirmed. Nothing answers an ack, so a message
//! counts as handled when its ack is sent.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use gristmill_tests::free_port;

use super::amqp::{ACK, Args, BODY, DELIVER, call, frame, open, publish};
use super::clock::Clock;
use super::wire::{Sending, Wire};
use crate::server::{Program, Server, find};
use crate::work;

/// Unacked messages of a worker.
const PREFETCH: u16 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Classic,
    Quorum,
}

impl Kind {
    pub fn settings(self) -> &'static str {
        match self {
            Kind::Classic => {
                "durable classic queue, persistent messages, confirms, manual acks, prefetch 256"
            }
            Kind::Quorum => "quorum queue (one node), confirms, manual acks, prefetch 256",
        }
    }

    fn table(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Classic => &[("x-queue-type", "classic")],
            Kind::Quorum => &[("x-queue-type", "quorum")],
        }
    }
}

pub fn start(trace: bool) -> Result<Server> {
    let names = free_port()?;
    // Erlang would leave it behind as a daemon.
    let mut daemon = Program::new("epmd")?;
    daemon.args(["-address", "127.0.0.1", "-port", &names.to_string()]);
    let mut daemon = daemon.command(None);
    daemon
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut daemon = daemon.process_group(0).spawn()?;
    let started = Server::start("rabbitmq", trace, |folder, port| {
        let mut program = Program::at(find("rabbitmq-server-plain")?);
        let plugins = folder.join("plugins");
        fs::write(&plugins, "[].\n")?;
        let at = |name: &str| folder.join(name).display().to_string();
        program
            .variable("HOME", &folder.display().to_string())
            .variable("ERL_EPMD_PORT", &names.to_string())
            .variable("RABBITMQ_NODENAME", "bench@localhost")
            .variable("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .variable("RABBITMQ_NODE_PORT", &port.to_string())
            .variable("RABBITMQ_DIST_PORT", &free_port()?.to_string())
            .variable("RABBITMQ_MNESIA_BASE", &at("mnesia"))
            .variable("RABBITMQ_LOG_BASE", &at("log"))
            .variable("RABBITMQ_CONFIG_FILE", &at("none"))
            .variable(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                &plugins.display().to_string(),
            );
        Ok(program)
    });
    match started {
        Ok(mut server) => {
            server.keep(daemon);
            Ok(server)
        }
        Err(error) => {
            let _ = daemon.kill();
            let _ = daemon.wait();
            Err(error)
        }
    }
}

/// The version in the name of the folder that it is in; it would have to be started to say so itself.
pub fn version() -> Result<String> {
    let script = fs::read_to_string(find("rabbitmq-server-plain")?)?;
    let folder = script
        .split('/')
        .find_map(|part| part.strip_prefix("rabbitmq_server-"));
    Ok(folder.context("its folder has no version")?.to_owned())
}

/// Makes the queues.
pub async fn prepare(server: &Server, kind: Kind) -> Result<()> {
    let mut wire = open(Wire::open(server.address).await?).await?;
    for name in ["in", "out"] {
        let declare = Args::of((50, 10)).bytes(&[0, 0]).short(name);
        // Durable.
        let declare = declare.bytes(&[2]).table(kind.table());
        call(&mut wire, 1, declare, (50, 11)).await?;
    }
    Ok(())
}

/// Forgets what was sent on.
pub async fn reset(server: &Server) -> Result<()> {
    let mut wire = open(Wire::open(server.address).await?).await?;
    let purge = Args::of((50, 30)).bytes(&[0, 0]).short("out").bytes(&[0]);
    call(&mut wire, 1, purge, (50, 31)).await
}

/// What is not confirmed, by the numbers that the server counts.
#[derive(Default)]
pub struct Unconfirmed {
    last: u64,
    waiting: VecDeque<u64>,
}

impl Unconfirmed {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.waiting.push_back(self.last);
        self.last
    }

    /// What a confirmation is of: all up to a number, or it alone.
    fn take(&mut self, number: u64, multiple: bool) -> Vec<u64> {
        if multiple {
            let until = self.waiting.partition_point(|waiting| *waiting <= number);
            return self.waiting.drain(..until).collect();
        }
        let at = self.waiting.binary_search(&number);
        at.ok()
            .and_then(|at| self.waiting.remove(at))
            .into_iter()
            .collect()
    }
}

pub type Publish = Unconfirmed;

pub async fn producer(server: &Server) -> Result<(Wire, Publish)> {
    let wire = open(Wire::open(server.address).await?).await?;
    Ok((wire, Unconfirmed::default()))
}

impl Sending for Publish {
    fn encode(&mut self, orders: Range<usize>, into: &mut Vec<u8>) {
        for order in orders {
            self.next();
            publish("in", &work::order(order), into);
        }
    }

    fn confirmed(&mut self, ahead: &[u8]) -> Result<Option<(usize, usize)>> {
        let Some((size, frame)) = frame(ahead)? else {
            return Ok(None);
        };
        ensure!(
            frame.method() == Some(ACK),
            "{:?} instead of an ack",
            frame.method()
        );
        let multiple = frame.payload.get(12).is_some_and(|bits| bits & 1 == 1);
        Ok(Some((size, self.take(frame.long(4)?, multiple).len())))
    }
}

pub async fn consume(server: Rc<Server>, clock: Rc<Clock>) -> Result<()> {
    let mut wire = open(Wire::open(server.address).await?).await?;
    let qos = Args::of((60, 10))
        .bytes(&[0; 4])
        .bytes(&PREFETCH.to_be_bytes());
    call(&mut wire, 1, qos.bytes(&[0]), (60, 11)).await?;
    let consume = Args::of((60, 20)).bytes(&[0, 0]).short("in").short("");
    call(&mut wire, 1, consume.bytes(&[0]).table(&[]), (60, 21)).await?;
    let mut sent = Unconfirmed::default();
    // By the number of what followed: the delivery and the order.
    let mut working: HashMap<u64, (u64, usize)> = HashMap::new();
    let (mut bytes, mut delivery) = (Vec::new(), 0);
    loop {
        while let Some((size, frame)) = frame(wire.ahead())? {
            match frame.method() {
                Some(DELIVER) => {
                    let tag = usize::from(frame.payload.get(4).copied().unwrap_or(0));
                    delivery = frame.long(5 + tag)?;
                }
                Some(ACK) => {
                    let multiple = frame.payload.get(12).is_some_and(|bits| bits & 1 == 1);
                    for number in sent.take(frame.long(4)?, multiple) {
                        let (delivery, order) = working.remove(&number).context("an ack twice")?;
                        let ack = Args::of(ACK).bytes(&delivery.to_be_bytes());
                        ack.bytes(&[0]).put(1, &mut bytes);
                        clock.handled(order);
                    }
                }
                Some(other) => bail!("{other:?}: {}", String::from_utf8_lossy(frame.payload)),
                None if frame.kind == BODY => {
                    let (order, sum) = work::sum(frame.payload).context("a body is no order")?;
                    working.insert(sent.next(), (delivery, order));
                    publish("out", &sum, &mut bytes);
                }
                None => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_are_of_one_or_of_all_before() {
        let mut sent = Unconfirmed::default();
        for _ in 0..5 {
            sent.next();
        }
        assert_eq!(sent.take(2, false), [2]);
        assert_eq!(sent.take(4, true), [1, 3, 4]);
        assert!(sent.take(4, true).is_empty());
        assert_eq!(sent.take(5, false), [5]);
    }
}
