//! Sending: single and in batches, by the native API and that of SQS. Each is answered when it is durable.

use anyhow::{Result, ensure};
use serde_json::json;

use super::load::closed;
use super::{Net, row};
use crate::http::{post, post_as};
use crate::stage::Stage;
use crate::work;

const CONNECTIONS: usize = 64;
const QUEUE: &str = "[queue.in]\n";

/// A request of the SQS endpoint.
pub fn sqs(action: &str, body: &serde_json::Value) -> Vec<u8> {
    let target = format!("X-Amz-Target: AmazonSQS.{action}\r\n");
    let body = body.to_string();
    post_as("/", "application/x-amz-json-1.0", &target, body.as_bytes())
}

/// The address of the queue `in` at the SQS endpoint.
pub fn queue_url(stage: &Stage) -> String {
    format!("http://{}/000000000000/in", stage.sqs)
}

pub async fn run(net: &Net) -> Result<()> {
    let path = "/v1/queues/in/messages";
    let single = post(path, &work::order(7));
    for connections in [1, CONNECTIONS] {
        let case = format!("native send, {connections} connections");
        native(net, &case, connections, &single, 1).await?;
    }
    for size in [10, 100] {
        let case = format!("native send, batches of {size}");
        let request = post(&format!("{path}/batch"), &work::batch(0..size));
        native(net, &case, CONNECTIONS, &request, size as u64).await?;
    }
    let order = String::from_utf8(work::order(7))?;
    for size in [1, 10] {
        let case = match size {
            1 => "SQS send, 64 connections".to_owned(),
            size => format!("SQS send, batches of {size}"),
        };
        if !net.wants(&case) {
            continue;
        }
        let stage = Stage::new(QUEUE).await?;
        let url = queue_url(&stage);
        let request = if size == 1 {
            sqs(
                "SendMessage",
                &json!({ "QueueUrl": url, "MessageBody": order }),
            )
        } else {
            let entries: Vec<_> = (0..size)
                .map(|id| json!({ "Id": id.to_string(), "MessageBody": order }))
                .collect();
            sqs(
                "SendMessageBatch",
                &json!({ "QueueUrl": url, "Entries": entries }),
            )
        };
        measure(net, &case, &stage, stage.sqs, CONNECTIONS, request, size).await?;
    }
    Ok(())
}

async fn native(
    net: &Net,
    case: &str,
    connections: usize,
    request: &[u8],
    size: u64,
) -> Result<()> {
    if !net.wants(case) {
        return Ok(());
    }
    let stage = Stage::new(QUEUE).await?;
    measure(
        net,
        case,
        &stage,
        stage.api,
        connections,
        request.to_vec(),
        size,
    )
    .await
}

async fn measure(
    net: &Net,
    case: &str,
    stage: &Stage,
    address: std::net::SocketAddr,
    connections: usize,
    request: Vec<u8>,
    size: u64,
) -> Result<()> {
    let once = async move |connection: &mut crate::http::Connection, _: usize| {
        let said = connection.done(&request).await?;
        // A batch of SQS is a success even if none of it was taken.
        let failed = said.windows(8).any(|found| found == b"\"Failed\"");
        ensure!(!failed, "{}", String::from_utf8_lossy(said));
        Ok(size)
    };
    let mut load = closed(stage, address, connections, net.seconds, once).await?;
    let ready = stage.count("in", "ready").await?;
    ensure!(
        ready == load.all,
        "{} were accepted, and {ready} are there",
        load.all
    );
    row(case, &mut load);
    Ok(())
}
