//! Measures Gristmill: over the network, beside peers that do the same work, and against what the machine
//! can do at all.
//!
//! `cargo run --release -p gristmill-bench -- --help` says what there is. It knows the program as its users
//! do, by its listeners; it is no test, and nothing fails for being slow. What is counted is checked: no
//! figure is given of messages that were lost.

mod figures;
mod http;
mod net;
mod peers;
mod server;
mod stage;
mod usage;
mod work;

use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

/// Measures Gristmill.
#[derive(Parser)]
#[command(name = "gristmill-bench")]
enum Bench {
    /// How many requests a host answers over the network, and how long they take
    Net(net::Net),
    /// The same work on others, and what the machine can do at all
    Peers(peers::Peers),
    /// A moment of what needs nothing else, to see that it works
    Smoke,
}

fn main() -> ExitCode {
    let ended = run(&Bench::parse());
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gristmill-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(bench: &Bench) -> anyhow::Result<()> {
    // One thread, so that it can be seen what the generator takes.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let measured = async {
            match bench {
                Bench::Net(net) => net.run().await,
                Bench::Peers(peers) => peers.run().await,
                Bench::Smoke => peers::smoke().await,
            }
        };
        // What was started is ended as well, whoever asks this to end.
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            measured = measured => measured,
            _ = terminate.recv() => bail!("asked to end"),
            _ = tokio::signal::ctrl_c() => bail!("asked to end"),
        }
    })
}
