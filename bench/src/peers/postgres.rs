//! PostgreSQL as a queue: rows that are taken with `FOR UPDATE SKIP LOCKED`.
//!
//! Producers insert many rows with one statement. A worker deletes a batch of rows, inserts what follows and
//! commits: two round trips. If there is nothing it looks again after a millisecond, as such workers do.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use gristmill_tests::run;

use super::clock::Clock;
use super::wire::{Sending, Wire};
use crate::server::{Program, Server};
use crate::work;

pub const SETTINGS: &str = "fsync = on, synchronous_commit = on, shared_buffers = 512MB, max_wal_size = 4GB; inserts of many rows, FOR UPDATE SKIP LOCKED by 64";
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const INSERT_IN: &str = "INSERT INTO orders (body) SELECT unnest($1::bytea[])";
const INSERT_OUT: &str = "INSERT INTO sums (body) SELECT unnest($1::bytea[])";
const TAKE: &str = "DELETE FROM orders WHERE id = ANY(ARRAY(SELECT id FROM orders ORDER BY id LIMIT 64 FOR UPDATE SKIP LOCKED)) RETURNING body";

pub fn start(trace: bool) -> Result<Server> {
    Server::start("postgres", trace, |folder, port| {
        let mut init = Program::new("initdb")?;
        init.modestly();
        init.args([
            "-A",
            "trust",
            "-U",
            "bench",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
        ]);
        let data = folder.join("pg");
        init.arg(&data);
        let above = folder.parent().context("a folder in a folder")?;
        init.own(above)?;
        run(&mut init.command(None))?;
        let mut program = Program::new("postgres")?;
        program.modestly();
        program.arg("-D").arg(data).arg("-k").arg(folder);
        program.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        for set in [
            "fsync=on",
            "synchronous_commit=on",
            "shared_buffers=512MB",
            "max_wal_size=4GB",
        ] {
            program.args(["-c", set]);
        }
        Ok(program)
    })
}

fn put(kind: u8, parts: &[&[u8]], into: &mut Vec<u8>) {
    into.push(kind);
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    put_length(length, into);
    for part in parts {
        into.extend_from_slice(part);
    }
}

fn put_length(length: usize, into: &mut Vec<u8>) {
    into.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// Runs a statement that was named before, with at most one parameter; what it returns comes as bytes.
fn execute(name: &str, parameter: Option<&[u8]>, into: &mut Vec<u8>) {
    let mut bind = vec![0];
    bind.extend_from_slice(name.as_bytes());
    // The format of all parameters is binary; how many there are; then, the same of results.
    bind.extend_from_slice(&[0, 0, 1, 0, 1, 0, u8::from(parameter.is_some())]);
    if let Some(parameter) = parameter {
        put_length(parameter.len(), &mut bind);
        bind.extend_from_slice(parameter);
    }
    bind.extend_from_slice(&[0, 1, 0, 1]);
    put(b'B', &[&bind], into);
    put(b'E', &[&[0, 0, 0, 0, 0]], into);
}

/// An array of `bytea`, as the server reads it.
fn array<'b>(bodies: impl ExactSizeIterator<Item = &'b [u8]>) -> Vec<u8> {
    let mut array = Vec::new();
    // One dimension, no nulls, of type bytea, its length, counted from one.
    for number in [1, 0, 17, bodies.len(), 1] {
        put_length(number, &mut array);
    }
    for body in bodies {
        put_length(body.len(), &mut array);
        array.extend_from_slice(body);
    }
    array
}

/// What the server says next: its kind and what it carries, and how many bytes that was.
fn next(ahead: &[u8]) -> Result<Option<(usize, u8, &[u8])>> {
    let Some(head) = ahead.get(..5) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let Some(payload) = ahead.get(5..1 + length) else {
        return Ok(None);
    };
    ensure!(
        head[0] != b'E',
        "the server says {:?}",
        String::from_utf8_lossy(payload)
    );
    Ok(Some((1 + length, head[0], payload)))
}

/// Waits until the server is ready for more; gives the rows that came before.
async fn ready(wire: &mut Wire) -> Result<Vec<Vec<u8>>> {
    let mut rows = Vec::new();
    loop {
        while let Some((size, kind, payload)) = next(wire.ahead())? {
            if kind == b'D' {
                // One column: how many there are, its length, and itself.
                rows.push(payload.get(6..).context("a row is too short")?.to_vec());
            }
            wire.take(size);
            if kind == b'Z' {
                return Ok(rows);
            }
        }
        wire.more().await?;
    }
}

async fn open(server: &Server, statements: &[(&str, &str)]) -> Result<Wire> {
    let mut wire = Wire::open(server.address).await?;
    let who = b"\0\x03\0\0user\0bench\0database\0postgres\0\0";
    let mut bytes = Vec::new();
    put_length(who.len() + 4, &mut bytes);
    bytes.extend_from_slice(who);
    for (name, statement) in statements {
        let named = [name.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"];
        put(b'P', &named, &mut bytes);
    }
    put(b'S', &[], &mut bytes);
    wire.write(&bytes).await?;
    // Once for the start, once for the statements.
    ready(&mut wire).await?;
    ready(&mut wire).await?;
    Ok(wire)
}

/// Makes the tables.
pub async fn prepare(server: &Server) -> Result<()> {
    // It listens a moment before it lets anybody in.
    let mut wire = loop {
        match open(server, &[]).await {
            Ok(wire) => break wire,
            Err(error) if error.to_string().contains("57P03") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error),
        }
    };
    let make = b"CREATE TABLE orders (id bigserial PRIMARY KEY, body bytea NOT NULL); CREATE TABLE sums (id bigserial PRIMARY KEY, body bytea NOT NULL)\0";
    run_plain(&mut wire, make).await
}

/// Forgets what was sent on.
pub async fn reset(server: &Server) -> Result<()> {
    run_plain(&mut open(server, &[]).await?, b"TRUNCATE sums\0").await
}

async fn run_plain(wire: &mut Wire, statement: &[u8]) -> Result<()> {
    let mut bytes = Vec::new();
    put(b'Q', &[statement], &mut bytes);
    wire.write(&bytes).await?;
    ready(wire).await?;
    Ok(())
}

/// How many rows each statement that is under way has.
#[derive(Default)]
pub struct Insert(VecDeque<usize>);

pub async fn producer(server: &Server) -> Result<(Wire, Insert)> {
    Ok((open(server, &[("in", INSERT_IN)]).await?, Insert::default()))
}

impl Sending for Insert {
    fn encode(&mut self, orders: Range<usize>, into: &mut Vec<u8>) {
        self.0.push_back(orders.len());
        let bodies: Vec<Vec<u8>> = orders.map(work::order).collect();
        execute("in", Some(&array(bodies.iter().map(Vec::as_slice))), into);
        put(b'S', &[], into);
    }

    fn confirmed(&mut self, ahead: &[u8]) -> Result<Option<(usize, usize)>> {
        let Some((size, kind, _)) = next(ahead)? else {
            return Ok(None);
        };
        let done = if kind == b'Z' {
            self.0.pop_front()
        } else {
            None
        };
        Ok(Some((size, done.unwrap_or(0))))
    }
}

pub async fn consume(server: Rc<Server>, clock: Rc<Clock>) -> Result<()> {
    let statements = [
        ("begin", "BEGIN"),
        ("take", TAKE),
        ("out", INSERT_OUT),
        ("commit", "COMMIT"),
    ];
    let mut wire = open(&server, &statements).await?;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        execute("begin", None, &mut bytes);
        execute("take", None, &mut bytes);
        put(b'S', &[], &mut bytes);
        wire.write(&bytes).await?;
        let rows = ready(&mut wire).await?;
        let (mut numbers, mut sums) = (Vec::new(), Vec::new());
        for row in &rows {
            let (number, sum) = work::sum(row).context("a row is no order")?;
            numbers.push(number);
            sums.push(sum);
        }
        bytes.clear();
        if !sums.is_empty() {
            execute(
                "out",
                Some(&array(sums.iter().map(Vec::as_slice))),
                &mut bytes,
            );
        }
        execute("commit", None, &mut bytes);
        put(b'S', &[], &mut bytes);
        wire.write(&bytes).await?;
        if !ready(&mut wire).await?.is_empty() {
            bail!("a commit gives rows");
        }
        for number in numbers {
            clock.handled(number);
        }
        if rows.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let mut bytes = Vec::new();
        put(b'Z', &[b"I"], &mut bytes);
        assert!(next(&bytes[..5]).unwrap().is_none());
        assert_eq!(next(&bytes).unwrap(), Some((6, b'Z', &b"I"[..])));
        let array = array([&b"ab"[..], b"c"].into_iter());
        assert_eq!(array.len(), 20 + 4 + 2 + 4 + 1);
        bytes[0] = b'E';
        assert!(next(&bytes).is_err());
    }
}
