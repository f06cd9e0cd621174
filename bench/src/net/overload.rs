//! More requests than can be answered: an open loop, in which arrivals do not wait for answers.
//!
//! Each arrival takes a connection that is free. With so many arrivals that none is, the client itself gives
//! up at once, which is counted apart. What is accepted has to be in the queue, to the message.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::load::closed;
use super::{Net, row};
use crate::figures::{Waits, grouped, short};
use crate::http::{Connection, post};
use crate::stage::Stage;
use crate::usage::own_cpu;
use crate::work;

/// As many as clients may have, and then some that a host turns away by its own limits.
const CONNECTIONS: usize = 1000;
/// What is no load: this part of the peak.
const UNLOADED: f64 = 0.1;
/// How long a send may take: as it is if nothing is said, and less.
const MAX_WAITS: [&str; 2] = ["5ms", "1s"];
const PACE: Duration = Duration::from_micros(500);
/// For so long it runs before anything is counted: the host has to find out what it bears.
const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Outcome {
    arrived: u64,
    /// No connection was free.
    given_up: u64,
    refused: u64,
    /// Of what was accepted.
    waits: Waits,
    elapsed: Duration,
    host_cpu: Duration,
    own_cpu: Duration,
}

/// A connection and what it is told.
#[derive(Default)]
struct Line {
    arrived: Cell<Option<Instant>>,
    wake: Notify,
}

pub async fn run(net: &Net) -> Result<()> {
    if !net.wants("overload") {
        return Ok(());
    }
    let request = post("/v1/queues/in/messages", &work::order(7));
    let stage = Stage::new("[queue.in]\n").await?;
    let again = request.clone();
    let once = async move |connection: &mut Connection, _: usize| {
        connection.done(&again).await?;
        Ok(1)
    };
    let mut peak = closed(&stage, stage.api, 64, net.seconds, once).await?;
    row("overload: peak, 64 connections", &mut peak);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let peak = peak.messages as f64 / peak.elapsed.as_secs_f64();
    for max_wait in MAX_WAITS {
        let mut unloaded = f64::NAN;
        for times in [UNLOADED, 0.5, 2.0, 10.0] {
            let mut outcome = open(&request, peak * times, net.seconds, max_wait).await?;
            let p99 = outcome.waits.percentile(99);
            if times == UNLOADED {
                unloaded = p99;
            }
            let name = format!("{times}× peak, max_wait = {max_wait}");
            show(&name, peak, unloaded, &mut outcome);
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
fn show(name: &str, peak: f64, unloaded: f64, outcome: &mut Outcome) {
    let accepted = outcome.waits.len() as f64;
    let goodput = accepted / outcome.elapsed.as_secs_f64();
    let (p50, p99) = (outcome.waits.percentile(50), outcome.waits.percentile(99));
    println!(
        "| overload: {name:<26} | {:>10} | {:>6} / {:>6} | {:>12} | {:>17} | {:.0} % of peak, p99 {:.1}× unloaded; of {} arrivals {} refused, {} given up |",
        grouped(goodput),
        short(p50),
        short(p99),
        short(outcome.host_cpu.as_secs_f64() * 1e6 / accepted),
        short(outcome.own_cpu.as_secs_f64() * 1e6 / accepted),
        100.0 * goodput / peak,
        p99 / unloaded,
        grouped(outcome.arrived as f64),
        grouped(outcome.refused as f64),
        grouped(outcome.given_up as f64),
    );
}

async fn open(request: &[u8], rate: f64, seconds: f64, max_wait: &str) -> Result<Outcome> {
    let keys = format!("max_wait = \"{max_wait}\"\n");
    let stage = Stage::with(&keys, "[queue.in]\n").await?;
    let lines: Rc<Vec<Line>> = Rc::new((0..CONNECTIONS).map(|_| Line::default()).collect());
    // The one that was used last is warm.
    let free: Rc<RefCell<Vec<usize>>> = Rc::new(RefCell::new((0..CONNECTIONS).collect()));
    let ended = Rc::new(Cell::new(false));
    let counting = Rc::new(Cell::new(false));
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(stage.api).await?;
        let (lines, free) = (Rc::clone(&lines), Rc::clone(&free));
        let (ended, counting) = (Rc::clone(&ended), Rc::clone(&counting));
        let request = request.to_vec();
        tasks.spawn_local(async move {
            let (mut waits, mut accepted, mut refused) = (Waits::default(), 0_u64, 0_u64);
            loop {
                let Some(arrived) = lines[number].arrived.take() else {
                    if ended.get() {
                        return anyhow::Ok((waits, accepted, refused));
                    }
                    lines[number].wake.notified().await;
                    continue;
                };
                match connection.ask(&request).await?.status {
                    201 => {
                        accepted += 1;
                        if counting.get() {
                            waits.add(arrived.elapsed());
                        }
                    }
                    429 | 503 => refused += u64::from(counting.get()),
                    other => bail!("a send is answered with {other}"),
                }
                free.borrow_mut().push(number);
            }
        });
    }
    let (mut host_before, mut own_before, mut began) =
        (stage.usage()?.cpu, own_cpu(), Instant::now());
    let mut outcome = Outcome::default();
    let mut due = 0.0;
    loop {
        if counting.get() && began.elapsed().as_secs_f64() > seconds {
            break;
        }
        if !counting.get() && began.elapsed() > WARM_UP {
            counting.set(true);
            outcome = Outcome::default();
            (host_before, own_before, began) = (stage.usage()?.cpu, own_cpu(), Instant::now());
            due = 0.0;
        }
        let by_now = began.elapsed().as_secs_f64() * rate;
        while due < by_now {
            due += 1.0;
            outcome.arrived += 1;
            match free.borrow_mut().pop() {
                Some(number) => {
                    lines[number].arrived.set(Some(Instant::now()));
                    lines[number].wake.notify_one();
                }
                None => outcome.given_up += 1,
            }
        }
        tokio::time::sleep(PACE).await;
    }
    // Who was turned away is answered late, so the last answers say nothing of what was handled meanwhile.
    outcome.elapsed = began.elapsed();
    counting.set(false);
    ended.set(true);
    for line in lines.iter() {
        line.wake.notify_one();
    }
    let mut all = 0;
    while let Some(line) = tasks.join_next().await {
        let (waits, accepted, refused) = line??;
        outcome.waits.join(waits);
        all += accepted;
        outcome.refused += refused;
    }
    outcome.host_cpu = stage.usage()?.cpu.saturating_sub(host_before);
    outcome.own_cpu = own_cpu().saturating_sub(own_before);
    let ready = stage.count("in", "ready").await?;
    ensure!(ready == all, "{all} were accepted, and {ready} are there");
    Ok(outcome)
}
