//! Redis with `appendfsync always`, and the reliable queue of its own documentation: what is worked on is
//! moved to a list of the worker (`LMOVE`), and taken from there when it is done.
//!
//! Redis syncs once for all that it was asked in a turn, so producers and workers send much at once.

use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail};

use super::clock::Clock;
use super::wire::{Sending, Wire, line};
use crate::server::{Program, Server};
use crate::work;

pub const SETTINGS: &str =
    "appendonly yes, appendfsync always, save \"\"; LPUSH, LMOVE, and LPUSH + LREM in MULTI";

pub fn start(trace: bool) -> Result<Server> {
    Server::start("redis", trace, |folder, port| {
        let mut program = Program::new("redis-server")?;
        program.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        program.args(["--appendonly", "yes", "--appendfsync", "always"]);
        program.args(["--save", "", "--loglevel", "warning", "--dir"]);
        program.arg(folder);
        Ok(program)
    })
}

fn command(parts: &[&[u8]], into: &mut Vec<u8>) {
    into.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        into.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        into.extend_from_slice(part);
        into.extend_from_slice(b"\r\n");
    }
}

pub struct Push;

impl Sending for Push {
    fn encode(&mut self, orders: Range<usize>, into: &mut Vec<u8>) {
        for order in orders {
            command(&[b"LPUSH", b"in", &work::order(order)], into);
        }
    }

    fn confirmed(&mut self, ahead: &[u8]) -> Result<Option<(usize, usize)>> {
        let Some(line) = line(ahead) else {
            return Ok(None);
        };
        if !line.starts_with(b":") {
            bail!("LPUSH: {}", String::from_utf8_lossy(line));
        }
        Ok(Some((line.len() + 2, 1)))
    }
}

/// Forgets what was sent on.
pub async fn reset(server: &Server) -> Result<()> {
    let mut wire = Wire::open(server.address).await?;
    let mut bytes = Vec::new();
    command(&[b"DEL", b"out"], &mut bytes);
    wire.write(&bytes).await?;
    wire.line().await?;
    Ok(())
}

/// A bulk string or nothing.
async fn bulk(wire: &mut Wire) -> Result<Option<Vec<u8>>> {
    let said = wire.line().await?;
    if said == "$-1" || said == "*-1" {
        return Ok(None);
    }
    let size = said.strip_prefix('$').and_then(|size| size.parse().ok());
    let size: usize = size.with_context(|| format!("a string was expected: {said}"))?;
    while wire.ahead().len() < size + 2 {
        wire.more().await?;
    }
    let found = wire.ahead()[..size].to_vec();
    wire.take(size + 2);
    Ok(Some(found))
}

/// At most so many are moved at once.
const MOST: usize = 64;

pub async fn consume(server: Rc<Server>, clock: Rc<Clock>, worker: usize) -> Result<()> {
    let mut wire = Wire::open(server.address).await?;
    let own = format!("working:{worker}");
    let own = own.as_bytes();
    let mut bytes = Vec::new();
    let mut batch = 1;
    loop {
        // The first is waited for; more are asked for if as many came the last time.
        bytes.clear();
        command(
            &[b"BLMOVE", b"in", own, b"RIGHT", b"LEFT", b"0"],
            &mut bytes,
        );
        for _ in 1..batch {
            command(&[b"LMOVE", b"in", own, b"RIGHT", b"LEFT"], &mut bytes);
        }
        wire.write(&bytes).await?;
        let mut taken = Vec::new();
        for _ in 0..batch {
            taken.extend(bulk(&mut wire).await?);
        }
        batch = if taken.len() == batch {
            MOST.min(batch * 2)
        } else {
            taken.len().max(1)
        };
        bytes.clear();
        command(&[b"MULTI"], &mut bytes);
        let mut numbers = Vec::with_capacity(taken.len());
        for order in &taken {
            let (number, sum) = work::sum(order).context("an element is no order")?;
            numbers.push(number);
            command(&[b"LPUSH", b"out", &sum], &mut bytes);
            command(&[b"LREM", own, b"-1", order], &mut bytes);
        }
        command(&[b"EXEC"], &mut bytes);
        wire.write(&bytes).await?;
        // OK, QUEUED for each, then the results.
        for _ in 0..=taken.len() * 2 {
            wire.line().await?;
        }
        let results = wire.line().await?;
        if results != format!("*{}", taken.len() * 2) {
            bail!("EXEC: {results}");
        }
        for at in 0..taken.len() * 2 {
            let said = wire.line().await?;
            if !said.starts_with(':') || (at % 2 == 1 && said != ":1") {
                bail!("in MULTI: {said}");
            }
        }
        for number in numbers {
            clock.handled(number);
        }
    }
}
