//! One run: orders are sent for a while, all are handled, and it is noted what that took.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::clock::Clock;
use super::system::{Level, Running, System};
use crate::usage::{Usage, own_cpu, own_written};

/// Within this time after the last send all has to be handled.
const PATIENCE: Duration = Duration::from_secs(60);
/// Until consumers have connected.
const CONNECTED: Duration = Duration::from_millis(150);

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    pub messages: usize,
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    /// Microseconds of all processes together, for each message.
    pub cpu: f64,
    /// Bytes given to the disk, for each message.
    pub written: f64,
    pub peak_mib: f64,
    /// Calls that make something durable, where they are counted in the run itself.
    pub syncs: u64,
}

impl Running {
    fn usage(&self) -> Result<Usage> {
        match self {
            Running::Log(_) => Ok(Usage {
                written: own_written()?,
                ..Usage::default()
            }),
            Running::Server(server) => server.usage(),
        }
    }

    fn syncs(&self) -> u64 {
        match self {
            Running::Log(log) => log.syncs(),
            Running::Server(_) => 0,
        }
    }
}

/// Sends as fast as it is taken, or at a pace, for so many seconds.
pub async fn run(
    system: System,
    running: &Running,
    level: Level,
    seconds: f64,
    pace: Option<Duration>,
) -> Result<Ran> {
    system.reset(running).await?;
    let clock = Rc::new(Clock::new(seconds, pace));
    let mut consumers = system.consume(running, &clock, level, pace.is_some());
    tokio::time::sleep(CONNECTED).await;
    let (before, own, syncs) = (running.usage()?, own_cpu(), running.syncs());
    clock.start();
    let mut producers = super::system::Tasks::new();
    system
        .produce(running, &clock, level, &mut producers)
        .await?;
    let limit = Duration::from_secs_f64(seconds) + PATIENCE;
    let handled = async {
        while let Some(ended) = producers.join_next().await {
            ended??;
        }
        clock.all_handled().await;
        anyhow::Ok(())
    };
    tokio::select! {
        handled = tokio::time::timeout(limit, handled) => handled
            .with_context(|| format!("of {} orders not all were handled within a minute", clock.sent()))??,
        Some(ended) = consumers.join_next() => {
            ended??;
            bail!("a consumer ended");
        }
    }
    let (after, own) = (running.usage()?, own_cpu().saturating_sub(own));
    // They are gone when this returns, and with them their connections.
    consumers.shutdown().await;
    let messages = clock.sent();
    let mut waits = clock.waits();
    if waits.len() != messages {
        bail!("{} of {messages} were handled", waits.len());
    }
    let cpu = after.cpu.saturating_sub(before.cpu) + own;
    #[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
    let each = |sum: f64| sum / messages as f64;
    #[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
    Ok(Ran {
        messages,
        rate: messages as f64 / clock.elapsed().as_secs_f64(),
        p50: waits.percentile(50),
        p99: waits.percentile(99),
        cpu: each(cpu.as_secs_f64() * 1e6),
        written: each(after.written.saturating_sub(before.written) as f64),
        peak_mib: after.peak_kib as f64 / 1024.0,
        syncs: running.syncs() - syncs,
    })
}
