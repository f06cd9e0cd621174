//! What a thousand consumers cost that wait for messages which do not come.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::Net;
use super::send::{queue_url, sqs};
use crate::http::{Connection, post};
use crate::stage::Stage;
use crate::work;

const POLLS: usize = 1000;
/// Longer than it takes to look.
const WAIT: u64 = 20;
/// In this time all of them have been heard.
const SETTLED: Duration = Duration::from_secs(2);

pub async fn run(net: &Net) -> Result<()> {
    for native in [true, false] {
        let case = match native {
            true => "native, idle long polls",
            false => "SQS, idle long polls",
        };
        if net.wants(case) {
            measure(case, native).await?;
        }
    }
    Ok(())
}

async fn measure(case: &str, native: bool) -> Result<()> {
    let stage = Stage::new("[queue.in]\n").await?;
    let (address, request) = if native {
        let order = json!({ "max": 10, "wait": format!("{WAIT}s") }).to_string();
        (stage.api, post("/v1/queues/in/leases", order.as_bytes()))
    } else {
        let order = json!({ "QueueUrl": queue_url(&stage), "WaitTimeSeconds": WAIT });
        (stage.sqs, sqs("ReceiveMessage", &order))
    };
    // What the first request of all costs is not the polls'.
    let send = post("/v1/queues/in/messages", &work::order(1));
    let mut sender = Connection::open(stage.api).await?;
    let idle = stage.usage()?.resident_kib;
    let cpu = stage.usage()?.cpu;
    let mut polls = tokio::task::JoinSet::new();
    for _ in 0..POLLS {
        let mut connection = Connection::open(address).await?;
        let request = request.clone();
        polls.spawn_local(async move {
            let said = connection.done(&request).await?;
            anyhow::Ok(said.windows(4).any(|found| found == b"o-1\\"))
        });
    }
    tokio::time::sleep(SETTLED).await;
    let waiting = stage.usage()?.resident_kib;
    let cpu = stage.usage()?.cpu.saturating_sub(cpu);
    ensure!(polls.try_join_next().is_none(), "one of them did not wait");
    sender.done(&send).await?;
    let first = polls.join_next().await;
    ensure!(
        matches!(first, Some(Ok(Ok(true)))),
        "a message was sent, and the first to be answered did not get it: {first:?}"
    );
    let more = waiting.saturating_sub(idle);
    println!(
        "| {case:<36} | {POLLS} polls: {:.1} MiB above {:.1} MiB idle, {:.1} KiB each; {:.0} ms of CPU |",
        mebibytes(more),
        mebibytes(idle),
        mebibytes(more) * 1024.0 / 1000.0,
        cpu.as_secs_f64() * 1000.0
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
