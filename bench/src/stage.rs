//! A host with its two listeners, and what is asked of it beside the measurement.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gristmill_tests::{Host, free_port};
use rustix::process::Pid;
use serde_json::Value;

use crate::http::{Connection, get, post};
use crate::usage::Usage;
use crate::work;

/// How often to look at what is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Messages of one request that fills a queue.
const FILL: usize = 100;

pub struct Stage {
    pub host: Host,
    pub api: SocketAddr,
    pub sqs: SocketAddr,
}

impl Stage {
    /// Starts a host with these tables beside the listeners'.
    pub fn new(tables: &str, modules: &[&str]) -> Result<Self> {
        let (api, sqs) = (free_port()?, free_port()?);
        let config = format!(
            "[host]\nlog = \"warn\"\n\
             [api]\nlisten = \"127.0.0.1:{api}\"\nmax_connections = 4096\n\
             [sqs]\nlisten = \"127.0.0.1:{sqs}\"\n{tables}"
        );
        let mut host = Host::new(&config, modules)?;
        host.start()?;
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Stage {
            host,
            api: at(api),
            sqs: at(sqs),
        })
    }

    pub fn pid(&self) -> Result<Pid> {
        self.host.pid().context("the host does not run")
    }

    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid()?)
    }

    /// One of the counts that the host gives of a queue.
    pub async fn count(&self, queue: &str, what: &str) -> Result<u64> {
        let mut connection = Connection::open(self.api).await?;
        count(&mut connection, queue, what).await
    }

    /// Sends so many orders.
    pub async fn fill(&self, queue: &str, messages: usize) -> Result<()> {
        let mut connection = Connection::open(self.api).await?;
        let path = format!("/v1/queues/{queue}/messages/batch");
        for first in (0..messages).step_by(FILL) {
            let orders = first..messages.min(first + FILL);
            connection.done(&post(&path, &work::batch(orders))).await?;
        }
        let ready = self.count(queue, "ready").await?;
        ensure!(ready == messages as u64, "{ready} of {messages} are ready");
        Ok(())
    }

    /// Waits until a count of a queue is this.
    pub async fn wait_count(&self, queue: &str, what: &str, expected: u64) -> Result<()> {
        let mut connection = Connection::open(self.api).await?;
        while count(&mut connection, queue, what).await? != expected {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}

pub async fn count(connection: &mut Connection, queue: &str, what: &str) -> Result<u64> {
    let request = get(&format!("/v1/queues/{queue}"));
    let view: Value = serde_json::from_slice(connection.done(&request).await?)?;
    let count = view[what].as_u64();
    count.with_context(|| format!("the view of {queue} has no {what}: {view}"))
}
