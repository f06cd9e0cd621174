//! Receiving and settling what waits, by the native API and that of SQS.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::load::closed;
use super::send::{queue_url, sqs};
use super::{Net, row};
use crate::http::{Connection, post};
use crate::stage::Stage;

const CONNECTIONS: usize = 64;
/// So many wait for each second that a case runs, and are not all taken in it.
const WAITING_PER_SECOND: f64 = 60_000.0;

pub async fn run(net: &Net) -> Result<()> {
    for max in [1, 10] {
        let case = format!("native receive {max} + ack");
        if net.wants(&case) {
            let receive = post(
                "/v1/queues/in/leases",
                json!({ "max": max }).to_string().as_bytes(),
            );
            let stage = stage(net).await?;
            let once = async move |connection: &mut Connection, _: usize| {
                native(connection, &receive).await
            };
            measure(net, &case, &stage, stage.api, once).await?;
        }
        let case = format!("SQS receive {max} + delete");
        if net.wants(&case) {
            let stage = stage(net).await?;
            let url = queue_url(&stage);
            let asked = json!({ "QueueUrl": url, "MaxNumberOfMessages": max });
            let receive = sqs("ReceiveMessage", &asked);
            let once = async move |connection: &mut Connection, _: usize| {
                by_sqs(connection, &receive, &url, max).await
            };
            measure(net, &case, &stage, stage.sqs, once).await?;
        }
    }
    Ok(())
}

async fn stage(net: &Net) -> Result<Stage> {
    let stage = Stage::new("[queue.in]\n").await?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some seconds"
    )]
    let messages = (WAITING_PER_SECOND * (net.seconds + 1.0)) as usize;
    stage.fill("in", messages).await?;
    Ok(stage)
}

async fn measure<F>(
    net: &Net,
    case: &str,
    stage: &Stage,
    address: std::net::SocketAddr,
    once: F,
) -> Result<()>
where
    F: AsyncFn(&mut Connection, usize) -> Result<u64> + 'static,
{
    let before = stage.count("in", "ready").await?;
    let mut load = closed(stage, address, CONNECTIONS, net.seconds, once).await?;
    let left = stage.count("in", "ready").await?;
    ensure!(
        before - left == load.all,
        "{} were settled, and {} are gone",
        load.all,
        before - left
    );
    row(case, &mut load);
    Ok(())
}

async fn native(connection: &mut Connection, receive: &[u8]) -> Result<u64> {
    let leased: Value = serde_json::from_slice(connection.done(receive).await?)?;
    let leased = leased["items"]
        .as_array()
        .context("an answer without items")?;
    if leased.is_empty() {
        return Ok(0);
    }
    let receipts: Vec<&Value> = leased.iter().map(|one| &one["receipt"]).collect();
    let settle = post(
        "/v1/queues/in/settlements",
        json!({ "ack": receipts }).to_string().as_bytes(),
    );
    let settled = connection.done(&settle).await?;
    let refused = settled.windows(9).any(|found| found == b"\"problem\"");
    ensure!(!refused, "{}", String::from_utf8_lossy(settled));
    Ok(leased.len() as u64)
}

async fn by_sqs(connection: &mut Connection, receive: &[u8], url: &str, max: u64) -> Result<u64> {
    let leased: Value = serde_json::from_slice(connection.done(receive).await?)?;
    let Some(leased) = leased["Messages"].as_array() else {
        return Ok(0);
    };
    let delete = if max == 1 {
        let handle = &leased[0]["ReceiptHandle"];
        sqs(
            "DeleteMessage",
            &json!({ "QueueUrl": url, "ReceiptHandle": handle }),
        )
    } else {
        let entries: Vec<Value> = leased
            .iter()
            .enumerate()
            .map(|(id, one)| json!({ "Id": id.to_string(), "ReceiptHandle": one["ReceiptHandle"] }))
            .collect();
        sqs(
            "DeleteMessageBatch",
            &json!({ "QueueUrl": url, "Entries": entries }),
        )
    };
    let deleted = connection.done(&delete).await?;
    let refused = deleted.windows(8).any(|found| found == b"\"Failed\"");
    ensure!(!refused, "{}", String::from_utf8_lossy(deleted));
    Ok(leased.len() as u64)
}
