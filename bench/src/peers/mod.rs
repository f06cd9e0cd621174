//! `peers`: the same work on Gristmill and on others, in one run.
//!
//! The work: orders of 256 bytes are sent, each send waits until it is durable; each is parsed and summed,
//! the sum is sent to a second queue, and the order is acknowledged. The peers are started here, on
//! loopback, in temporary folders, so that what they confirm is durable; their clients are this program, one
//! thread, which pipelines and batches as each of them likes it best. All run beside each other and are
//! asked in turn, round by round, so that a machine that changes its pace does so for all.

mod amqp;
mod beanstalkd;
mod clock;
mod gristmill;
mod limit;
mod nats;
mod plot;
mod postgres;
mod rabbitmq;
mod redis;
mod report;
mod run;
mod system;
mod wire;

use std::time::Duration;

use anyhow::{Context as _, Result};

use report::Row;
use run::run;
use system::{LEVELS, Level, Running, System};

use crate::usage;

/// What is nearly idle: so long between two sends.
const IDLE_PACE: Duration = Duration::from_millis(5);
/// For so long everybody works before anything is counted.
const WARM_UP: f64 = 0.2;
/// For so long calls that make something durable are counted, and it is idle.
const ASIDE: f64 = 1.5;

/// Compares with others that do the same work.
#[derive(clap::Args, Debug)]
pub struct Peers {
    /// Runs of each case; the table has their median
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// For how long orders are sent in each run, in seconds
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Only systems whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Do not count calls that make something durable
    #[arg(long)]
    no_syncs: bool,
    /// Write the table and the plot into docs/performance.md
    #[arg(long)]
    write: bool,
}

impl Peers {
    pub async fn run(&self) -> Result<()> {
        let before = usage::machine_load();
        let wanted = |system: &System| {
            let name = system.name().to_lowercase();
            self.only.is_empty()
                || self
                    .only
                    .iter()
                    .any(|part| name.contains(&part.to_lowercase()))
        };
        let mut started = Vec::new();
        for system in System::ALL.into_iter().filter(wanted) {
            eprintln!("starting {}", system.name());
            let running = system.start(false).await;
            let running = running.with_context(|| system.name())?;
            // The first messages of all take longer.
            run(system, &running, LEVELS[1], WARM_UP, None).await?;
            started.push((system, running));
        }
        let mut rows: Vec<Row> = Vec::new();
        for level in LEVELS {
            for (system, _) in &started {
                rows.push(Row::new(*system, level));
            }
            for round in 1..=self.runs {
                eprintln!("{} unconfirmed, round {round}", level.unconfirmed);
                for (system, running) in &started {
                    let ran = run(*system, running, level, self.seconds, None).await;
                    let ran = ran.with_context(|| system.name())?;
                    let row = rows.iter_mut().find(|row| row.is_of(*system, level));
                    row.context("a row for each")?.runs.push(ran);
                }
            }
        }
        let mut idle = Vec::new();
        for (system, running) in &started {
            let ran = run(*system, running, LEVELS[0], 2.0 * ASIDE, Some(IDLE_PACE)).await;
            idle.push((*system, ran.with_context(|| system.name())?));
        }
        let systems: Vec<System> = started.iter().map(|(system, _)| *system).collect();
        drop(started);
        if !self.no_syncs {
            // With one send at a time it is two commits for each, whoever does them.
            for row in rows.iter_mut().filter(|row| row.level.unconfirmed > 1) {
                eprintln!("counting fsyncs of {}", row.system.name());
                match syncs(row.system, row.level).await {
                    Ok(counted) => row.syncs = Some(counted),
                    // All else was measured.
                    Err(error) => eprintln!("they cannot be counted: {error:#}"),
                }
            }
        }
        let load = format!("{before} before, {} after", usage::machine_load());
        let text = report::text(&systems, &rows, &idle, &load, self.runs)?;
        println!("{text}");
        if self.write {
            report::write(&text, &plot::svg(&rows))?;
        }
        Ok(())
    }
}

/// How often something is made durable for each message, in a run of its own under `strace`.
#[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
async fn syncs(system: System, level: Level) -> Result<f64> {
    let running = system.start(true).await?;
    let ran = run(system, &running, level, ASIDE, None).await?;
    let calls = match running {
        Running::Log(_) => ran.syncs,
        Running::Server(server) => {
            let server = std::rc::Rc::into_inner(server).context("it is still asked")?;
            server
                .end(system.signal())?
                .context("nothing was counted")?
        }
    };
    Ok(calls as f64 / ran.messages as f64)
}

/// A run of a moment of what needs no peer, for a test.
pub async fn smoke() -> Result<()> {
    for system in [System::Limit, System::Fresh] {
        let running = system.start(false).await?;
        for level in LEVELS {
            let ran = run(system, &running, level, 0.2, None).await?;
            anyhow::ensure!(ran.messages > 0, "{} handled nothing", system.name());
            println!(
                "{}, {} unconfirmed: {} messages",
                system.name(),
                level.unconfirmed,
                ran.messages
            );
        }
    }
    Ok(())
}
