//! More requests than can be answered: an open loop, in which arrivals do not wait for answers.
//!
//! Each arrival takes a connection that is free. With so many arrivals that none is, the client itself gives
//! up at once, which is counted apart. What is accepted has to be in the queue, to the message.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
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
const MAX_WAITS: [&str; 2] = ["3ms", "1s"];
/// So often it is looked at least how many arrived, when none finds a connection.
const PACE: Duration = Duration::from_millis(1);
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

/// What arrives at even distances, whatever becomes of it: an arrival takes a connection that is free when
/// it is due, or is given up.
struct Arrivals {
    lines: Vec<Line>,
    /// The one that was used last is warm, and the next one that is taken.
    free: RefCell<Vec<usize>>,
    every: Duration,
    began: Cell<Instant>,
    arrived: Cell<u32>,
    given_up: Cell<u64>,
    counting: Cell<bool>,
    ended: Cell<bool>,
}

impl Arrivals {
    fn new(rate: f64) -> Self {
        Arrivals {
            lines: (0..CONNECTIONS).map(|_| Line::default()).collect(),
            free: RefCell::new((0..CONNECTIONS).collect()),
            every: Duration::from_secs_f64(1.0 / rate),
            began: Cell::new(Instant::now()),
            arrived: Cell::new(0),
            given_up: Cell::new(0),
            counting: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    /// Counts from now on, from zero.
    fn begin(&self, counting: bool) {
        self.began.set(Instant::now());
        self.arrived.set(0);
        self.given_up.set(0);
        self.counting.set(counting);
    }

    /// When the next one is due.
    fn next(&self) -> Instant {
        self.began.get() + self.every * self.arrived.get()
    }

    /// Gives connections to those that were due until now, and returns when the next one is.
    fn catch_up(&self, now: Instant) -> Instant {
        let mut free = self.free.borrow_mut();
        loop {
            let due = self.next();
            if due > now || self.ended.get() {
                return due;
            }
            self.arrived.set(self.arrived.get() + 1);
            match free.pop() {
                Some(number) => {
                    self.lines[number].arrived.set(Some(due));
                    self.lines[number].wake.notify_one();
                }
                None => self.given_up.set(self.given_up.get() + 1),
            }
        }
    }

    /// A connection was answered. What was due before found it busy.
    fn release(&self, number: usize) {
        self.catch_up(Instant::now());
        self.free.borrow_mut().push(number);
    }

    fn end(&self) {
        self.counting.set(false);
        self.ended.set(true);
        for line in &self.lines {
            line.wake.notify_one();
        }
    }
}

/// Wakes at a moment that the runtime's own timer, which counts milliseconds, would miss.
struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    fn new() -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            unsafe_code,
            reason = "the runtime wants to be told that the file stays open"
        )]
        // SAFETY: an `OwnedFd` is one file, open, until it is dropped.
        let registered = unsafe { AsyncFd::register(timer) };
        Ok(Alarm(registered?))
    }

    async fn until(&self, moment: Instant) -> Result<()> {
        // Zero would be never.
        let left = moment
            .saturating_duration_since(Instant::now())
            .max(Duration::from_micros(1));
        let once = Itimerspec {
            it_interval: Duration::ZERO.try_into()?,
            it_value: left.try_into()?,
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        self.0.readable().await?.clear_ready();
        Ok(())
    }
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
    let arrivals = Rc::new(Arrivals::new(rate));
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let connection = Connection::open(stage.api).await?;
        tasks.spawn_local(ask(
            connection,
            number,
            Rc::clone(&arrivals),
            request.to_vec(),
        ));
    }
    let alarm = Alarm::new()?;
    let until = async |end: Instant| {
        while Instant::now() < end {
            let next = arrivals.catch_up(Instant::now());
            // With no connection that is free there is nothing to do when the next one is due.
            let next = match arrivals.free.borrow().is_empty() {
                true => next.max(Instant::now() + PACE),
                false => next,
            };
            alarm.until(next.min(end)).await?;
        }
        anyhow::Ok(())
    };
    arrivals.begin(false);
    until(Instant::now() + WARM_UP).await?;
    let (host_before, own_before) = (stage.usage()?.cpu, own_cpu());
    arrivals.begin(true);
    until(Instant::now() + Duration::from_secs_f64(seconds)).await?;
    // Who was turned away is answered late, so the last answers say nothing of what was handled meanwhile.
    let mut outcome = Outcome {
        arrived: arrivals.arrived.get().into(),
        given_up: arrivals.given_up.get(),
        elapsed: arrivals.began.get().elapsed(),
        host_cpu: stage.usage()?.cpu.saturating_sub(host_before),
        own_cpu: own_cpu().saturating_sub(own_before),
        ..Outcome::default()
    };
    arrivals.end();
    let mut all = 0;
    while let Some(line) = tasks.join_next().await {
        let (waits, accepted, refused) = line??;
        outcome.waits.join(waits);
        all += accepted;
        outcome.refused += refused;
    }
    let ready = stage.count("in", "ready").await?;
    ensure!(ready == all, "{all} were accepted, and {ready} are there");
    Ok(outcome)
}

/// Asks for each arrival that this connection is given, until the end. Says how long those took that were
/// accepted while it counted, how many were accepted at all, and how many were refused while it counted.
async fn ask(
    mut connection: Connection,
    number: usize,
    arrivals: Rc<Arrivals>,
    request: Vec<u8>,
) -> Result<(Waits, u64, u64)> {
    let line = &arrivals.lines[number];
    let (mut waits, mut accepted, mut refused) = (Waits::default(), 0, 0);
    loop {
        let Some(arrived) = line.arrived.take() else {
            if arrivals.ended.get() {
                return Ok((waits, accepted, refused));
            }
            line.wake.notified().await;
            continue;
        };
        match connection.ask(&request).await?.status {
            201 => {
                accepted += 1;
                if arrivals.counting.get() {
                    waits.add(arrived.elapsed());
                }
            }
            429 | 503 => refused += u64::from(arrivals.counting.get()),
            other => bail!("a send is answered with {other}"),
        }
        arrivals.release(number);
    }
}
