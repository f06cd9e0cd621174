//! `net`: how many requests a host answers over loopback, and how long they take.
//!
//! Every case has a host of its own, in the release build, with its data on the disk of the temporary
//! folder. The generator is this process, one thread; it shares the processors with the host, and says what
//! it took of them. What is answered with success is counted in the queue afterwards.

mod load;
mod overload;
mod polls;
mod receive;
mod send;

use anyhow::Result;

use crate::figures::{grouped, short};
use crate::usage;
use load::Load;

/// Measures the network front.
#[derive(clap::Args, Debug)]
pub struct Net {
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// How long each case runs, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

impl Net {
    pub async fn run(&self) -> Result<()> {
        println!("load of the machine before: {}\n", usage::machine_load());
        println!(
            "| {:<36} | {:>10} | {:>15} | {:>12} | {:>17} |",
            "case", "messages/s", "p50 / p99 ms", "host CPU µs", "generator CPU µs"
        );
        println!("|---|--:|--:|--:|--:|");
        send::run(self).await?;
        receive::run(self).await?;
        polls::run(self).await?;
        overload::run(self).await?;
        println!("\nload of the machine after: {}", usage::machine_load());
        Ok(())
    }

    fn wants(&self, case: &str) -> bool {
        case.contains(&self.only)
    }
}

/// A row of the table: CPU is per message.
fn row(case: &str, load: &mut Load) {
    #[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
    let messages = load.messages as f64;
    let each = |cpu: std::time::Duration| short(cpu.as_secs_f64() * 1e6 / messages);
    println!(
        "| {case:<36} | {:>10} | {:>6} / {:>6} | {:>12} | {:>17} |",
        grouped(messages / load.elapsed.as_secs_f64()),
        short(load.waits.percentile(50)),
        short(load.waits.percentile(99)),
        each(load.host_cpu),
        each(load.own_cpu),
    );
}
