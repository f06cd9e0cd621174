//! Gristmill itself, as its users have it: messages come in over HTTP, the handler runs in the host.
//!
//! Nobody tells a sender when its message was handled, so that is looked up: while it runs as fast as it
//! can, how many are in `out`, every two milliseconds; when it is nearly idle, a consumer waits for what
//! comes there. Both are a cost to the host that the peers do not have.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gristmill_tests::guests;
use serde_json::{Value, json};

use super::clock::Clock;
use crate::http::{Connection, post};
use crate::server::Server;
use crate::stage::{count, serve};
use crate::work;

pub const SETTINGS: &str = "HTTP API; queue with concurrency = 1024, max_in_flight = 1024; a fresh sandbox for each message";
pub const SETTINGS_REUSED: &str = "the same with max_calls = 128";
const LOOK_AGAIN: Duration = Duration::from_millis(2);

pub async fn start(max_calls: u32, trace: bool) -> Result<Server> {
    let tables = format!(
        "[queue.in]\nhandler = \"bench.wasm\"\nconcurrency = 1024\n\
         [queue.out]\n\
         [handler.bench]\nsend_to = [\"out\"]\nmax_calls = {max_calls}\n"
    );
    serve("", &tables, Some(&guests()?.path("bench")), trace).await
}

/// Forgets what was sent on.
pub async fn reset(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    let order = json!({ "states": ["ready"] }).to_string();
    connection
        .done(&post("/v1/queues/out/purge", order.as_bytes()))
        .await?;
    Ok(())
}

/// Sends orders, `batch` with each request.
pub async fn produce(server: Rc<Server>, clock: Rc<Clock>, batch: usize) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    loop {
        let orders = clock.next(batch).await;
        let request = match orders.len() {
            0 => return Ok(()),
            _ if batch == 1 => post("/v1/queues/in/messages", &work::order(orders.start)),
            _ => post("/v1/queues/in/messages/batch", &work::batch(orders)),
        };
        connection.done(&request).await?;
    }
}

/// Looks how many were handled.
pub async fn count_handled(server: Rc<Server>, clock: Rc<Clock>) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    loop {
        let handled = count(&mut connection, "out", "ready").await?;
        clock.handled_in_all(usize::try_from(handled)?);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Takes what was sent on as soon as it is there.
pub async fn watch_handled(server: Rc<Server>, clock: Rc<Clock>) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    let order = json!({ "max": 100, "wait": "50s", "visibility": "1h" }).to_string();
    let receive = post("/v1/queues/out/leases", order.as_bytes());
    loop {
        let leased: Value = serde_json::from_slice(connection.done(&receive).await?)?;
        for one in leased["items"].as_array().context("no items")? {
            let sum: Value = serde_json::from_str(one["body"].as_str().context("no body")?)?;
            let number = sum["order"].as_str().and_then(work::number);
            clock.handled(number.context("what was sent on names no order")?);
        }
    }
}
