//! A fixture: a handler that goes wrong, or right, in the way its message asks for.
//!
//! The body is text: a verb, and what the verb needs, with spaces between (quotes around it are
//! dropped, so a JSON string will do). `obey` lists the verbs; those that send, send to `out`.

use std::hint::black_box;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use gristmill_sdk::prelude::*;
use gristmill_sdk::{delivery, secrets, transaction};

#[handler]
fn handle(message: Message) -> Result<(), Failure> {
    let text = message.text()?.trim().trim_matches('"');
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    obey(verb, rest, &message)
}

/// How many deliveries this instance has counted; see the verb `calls`.
static CALLS: AtomicU32 = AtomicU32::new(0);

const MIB: usize = 1024 * 1024;

fn obey(verb: &str, rest: &str, message: &Message) -> Result<(), Failure> {
    match verb {
        // Answers.
        "ok" => Ok(()),
        "retry" => Err(Failure::retry(rest)),
        "retry-after" => Err(Failure::retry_after("asked for", millis(rest, 1000)?)),
        "reject" => Err(Failure::reject(rest)),
        "postpone" => Err(Failure::postpone(millis(rest, 1000)?)),
        "until" if u64::from(message.attempt) < number(rest, 2)? => {
            Err(Failure::retry(format!("only attempt {}", message.attempt)))
        }
        "until" => Ok(()),
        "huge-error" => Err(Failure::retry("x".repeat(8 * MIB))),
        "trap" => grind(rest),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(i32::try_from(number(rest, 1)?).or_reject("status")?),
        // Too much.
        "spin" => spin(),
        "memory" => fill_memory(number(rest, u64::MAX)?),
        "recurse" => Err(Failure::retry(format!("depth {}", recurse(0)))),
        "flood" => flood(std::io::stdout(), number(rest, 1024)?),
        "flood-stderr" => flood(std::io::stderr(), number(rest, 1024)?),
        "rant" => {
            flood(std::io::stdout(), number(rest, 1)?)?;
            Err(Failure::retry("said enough"))
        }
        "lines" => {
            for i in 0..number(rest, 1_000_000)? {
                println!("line {i}");
            }
            Ok(())
        }
        "sleep" => {
            sleep(millis(rest, 3_600_000)?);
            Ok(())
        }
        "naps" => loop {
            sleep(Duration::ZERO);
        },
        "host-calls" => {
            for _ in 0..number(rest, 1_000_000)? {
                state::get("absent")?;
            }
            Ok(())
        }
        "storm" => storm(rest, message),
        "hang-again" if CALLS.fetch_add(1, Ordering::Relaxed) > 0 => spin(),
        "hang-again" => Ok(()),
        "extend-forever" => loop {
            delivery::extend(Duration::from_secs(5))?;
            sleep(Duration::from_millis(10));
        },
        // What this version of the configuration says.
        "as-told" => {
            let told = std::env::var("TOLD").or_reject("TOLD is not in the environment")?;
            let (verb, rest) = told.split_once(' ').unwrap_or((&told, ""));
            obey(verb, rest, message)
        }
        "wait-ending" => wait_until_ending(),
        _ => with_effects(verb, rest, message),
    }
}

/// Verbs that send and store.
fn with_effects(verb: &str, rest: &str, message: &Message) -> Result<(), Failure> {
    match verb {
        "echo" => drop(echo(message).send_to("out")?),
        "reply" => drop(message.reply(rest)?),
        "send-to" => drop(send(rest, "sent")?),
        "send-big" => drop(send("out", vec![b'x'; size(rest, 5 * MIB)?])?),
        "send-too-much" => loop {
            send("out", "again")?;
        },
        "send-many" => {
            for i in 0..number(rest, 10)? {
                send("out", json!({ "from": message.id, "number": i }))?;
            }
        }
        "then-retry" => return effects_then(message, || Err(Failure::retry("after the effects"))),
        "then-trap" => return effects_then(message, || panic!("after the effects")),
        "then-spin" => return effects_then(message, spin),
        "count" => {
            state::add(rest, 1)?;
            send("out", json!({ "from": message.id, "counted": rest }))?;
        }
        "conflict" => read_modify_write(rest)?,
        "tell" => drop(send_json("out", &state::counter(rest)?)?),
        "set" => {
            let (key, value) = rest.split_once(' ').or_reject("set KEY VALUE")?;
            state::set(key, value)?;
        }
        "remove" => state::remove(rest)?,
        "list" => {
            let keys: Vec<String> = state::keys(rest).collect::<Result<_, _>>()?;
            send_json("out", &keys)?;
        }
        "rollback" => {
            send("out", "before the mark")?;
            let mark = transaction::mark();
            effects_then(message, || Ok(()))?;
            transaction::rollback(mark);
        }
        "bad-mark" => {
            let (first, second) = (transaction::mark(), transaction::mark());
            transaction::rollback(first);
            transaction::rollback(second);
        }
        // Tell what is known.
        "calls" => {
            let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
            send_json("out", &calls)?;
        }
        "print" => println!("{rest}"),
        "eprint" => eprintln!("{rest}"),
        "use-secret" => {
            let secret = secrets::get(rest);
            panic!(
                "the secret has {:?} bytes",
                secret.map(|secret| secret.len())
            );
        }
        "print-secret" => println!("the secret is {:?}", secrets::get(rest)),
        "env" => drop(send_json("out", &std::env::var(rest).ok())?),
        "progress" => delivery::progress(50, rest),
        "about" => drop(send("out", about(message))?),
        _ => return Err(Failure::reject(format!("there is no verb {verb:?}"))),
    }
    Ok(())
}

/// Calls one function of the host for ever.
fn storm(of: &str, message: &Message) -> Result<(), Failure> {
    for i in 0u64.. {
        match of {
            "get" => drop(state::get(&format!("absent-{i}"))?),
            "set" => state::set(&format!("key-{i}"), "value")?,
            "same" => state::set("key", i.to_le_bytes())?,
            "list" => drop(state::keys("k").collect::<Result<Vec<_>, _>>()?),
            "mark" => drop(transaction::mark()),
            "undo" => {
                let mark = transaction::mark();
                state::add("undone", 1)?;
                send("out", "undone")?;
                transaction::rollback(mark);
            }
            "reply" => drop(message.reply("again")),
            "progress" => delivery::progress(50, &"note ".repeat(1000)),
            "remaining" => drop(delivery::remaining()),
            "secret" => drop(secrets::get("absent")),
            _ => return Err(Failure::reject(format!("there is no storm of {of:?}"))),
        }
    }
    Ok(())
}

fn number(text: &str, otherwise: u64) -> Result<u64, Failure> {
    if text.is_empty() {
        return Ok(otherwise);
    }
    text.parse().or_reject("the verb takes a number")
}

fn size(text: &str, otherwise: usize) -> Result<usize, Failure> {
    usize::try_from(number(text, otherwise as u64)?).or_reject("the size is too large")
}

fn millis(text: &str, otherwise: u64) -> Result<Duration, Failure> {
    number(text, otherwise).map(Duration::from_millis)
}

/// Panics some frames down, so that a backtrace has something to show.
#[inline(never)]
fn grind(why: &str) -> Result<(), Failure> {
    jam(black_box(why));
    Ok(())
}

#[inline(never)]
fn jam(why: &str) {
    if !black_box(false) {
        panic!("asked to panic: {why}");
    }
}

fn spin() -> Result<(), Failure> {
    let mut turns = 0u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Allocates and touches so many MiB.
fn fill_memory(mib: u64) -> Result<(), Failure> {
    let mut kept = Vec::new();
    for i in 0..mib {
        kept.push(black_box(vec![1u8; MIB]));
        if i % 256 == 255 {
            eprintln!("{} MiB", i + 1);
        }
    }
    Ok(())
}

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if frame[0] == u64::MAX {
        return 0;
    }
    recurse(depth + 1) + black_box(frame)[15]
}

/// Writes so many MiB of lines.
fn flood(mut to: impl Write, mib: u64) -> Result<(), Failure> {
    let line = [
        b"all work and no play makes a dull log. ".repeat(26),
        b"\n".to_vec(),
    ]
    .concat();
    for _ in 0..mib * (MIB / line.len()) as u64 {
        to.write_all(&line)?;
    }
    Ok(())
}

fn wait_until_ending() -> Result<(), Failure> {
    while !delivery::ending() {
        sleep(Duration::from_millis(5));
    }
    Err(Failure::retry("the delivery is being ended"))
}

fn echo(message: &Message) -> Outgoing {
    let mut outgoing = Outgoing::bytes(message.body.clone());
    outgoing.content_type = message.content_type.clone();
    outgoing.attributes = message.attributes.clone();
    outgoing.group = message.group.clone();
    outgoing
}

fn effects_then(
    message: &Message,
    then: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    state::add("effects", 1)?;
    state::set("last", &message.id)?;
    send("out", "must never arrive")?;
    then()
}

/// `KEY` or `KEY MS`: reads a number, waits, writes the next.
fn read_modify_write(rest: &str) -> Result<(), Failure> {
    let (key, wait) = rest.split_once(' ').unwrap_or((rest, "0"));
    let before: u64 = state::get_json(key)?.unwrap_or(0);
    let wait = millis(wait, 0)?;
    if !wait.is_zero() {
        sleep(wait);
    }
    Ok(state::set_json(key, &(before + 1))?)
}

fn about(message: &Message) -> gristmill_sdk::Value {
    json!({
        "id": message.id,
        "queue": message.queue,
        "attempt": message.attempt,
        "attributes": message.attributes,
        "remaining_ms": u64::try_from(delivery::remaining().as_millis()).unwrap_or(u64::MAX),
        "max_attempts": delivery::max_attempts(),
        "previous_failure": delivery::previous_failure(),
        "ending": delivery::ending(),
    })
}

#[cfg(test)]
mod tests;
