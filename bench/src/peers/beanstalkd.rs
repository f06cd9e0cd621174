//! beanstalkd: each put is written to its log and synced by itself (`-f0`), before it is answered.
//!
//! A consumer takes a job, puts the next one and deletes the first, in one write; the server does one after
//! the other.

use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail};

use super::clock::Clock;
use super::wire::{Sending, Wire, line};
use crate::server::{Program, Server};
use crate::work;

pub const SETTINGS: &str = "-b DIR -f0: an fsync for each job that is put or deleted";

pub fn start(trace: bool) -> Result<Server> {
    Server::start("beanstalkd", trace, |folder, port| {
        let mut program = Program::new("beanstalkd")?;
        program.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-f0", "-b"]);
        program.arg(folder);
        Ok(program)
    })
}

pub struct Put;

fn put(body: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(format!("put 0 0 600 {}\r\n", body.len()).as_bytes());
    into.extend_from_slice(body);
    into.extend_from_slice(b"\r\n");
}

impl Sending for Put {
    fn encode(&mut self, orders: Range<usize>, into: &mut Vec<u8>) {
        for order in orders {
            put(&work::order(order), into);
        }
    }

    fn confirmed(&mut self, ahead: &[u8]) -> Result<Option<(usize, usize)>> {
        let Some(line) = line(ahead) else {
            return Ok(None);
        };
        if !line.starts_with(b"INSERTED") {
            bail!("put: {}", String::from_utf8_lossy(line));
        }
        Ok(Some((line.len() + 2, 1)))
    }
}

/// A wire that puts into the queue `in`.
pub async fn producer(server: &Server) -> Result<Wire> {
    let mut wire = Wire::open(server.address).await?;
    wire.write(b"use in\r\n").await?;
    wire.line().await?;
    Ok(wire)
}

pub async fn consume(server: Rc<Server>, clock: Rc<Clock>) -> Result<()> {
    let mut wire = Wire::open(server.address).await?;
    wire.write(b"watch in\r\nignore default\r\nuse out\r\nreserve\r\n")
        .await?;
    for _ in 0..3 {
        wire.line().await?;
    }
    let mut bytes = Vec::new();
    loop {
        let reserved = wire.line().await?;
        let mut words = reserved.split(' ');
        let (Some("RESERVED"), Some(job), Some(size)) = (words.next(), words.next(), words.next())
        else {
            bail!("reserve: {reserved}");
        };
        let size: usize = size.parse()?;
        while wire.ahead().len() < size + 2 {
            wire.more().await?;
        }
        let (number, sum) = work::sum(&wire.ahead()[..size]).context("a job is no order")?;
        wire.take(size + 2);
        bytes.clear();
        put(&sum, &mut bytes);
        bytes.extend_from_slice(format!("delete {job}\r\nreserve\r\n").as_bytes());
        wire.write(&bytes).await?;
        for expected in ["INSERTED", "DELETED"] {
            let said = wire.line().await?;
            if !said.starts_with(expected) {
                bail!("{expected} was expected: {said}");
            }
        }
        clock.handled(number);
    }
}
