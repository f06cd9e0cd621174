//! A host with its two listeners, and what is asked of it beside the measurement.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gristmill_tests::{free_port, gristmill};
use serde_json::Value;

use crate::http::{Connection, get, post};
use crate::server::{Program, Server};
use crate::usage::Usage;
use crate::work;

/// Names a program that is measured instead of the one of this build.
const OTHER_PROGRAM: &str = "GRISTMILL_BENCH_PROGRAM";
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages of one request that fills a queue.
const FILL: usize = 100;

pub struct Stage {
    pub host: Server,
    pub api: SocketAddr,
    pub sqs: SocketAddr,
}

impl Stage {
    /// Starts a host with these tables beside the listeners'.
    pub async fn new(tables: &str) -> Result<Self> {
        Self::with("", tables).await
    }

    /// The same with more keys of the host.
    pub async fn with(keys: &str, tables: &str) -> Result<Self> {
        let sqs = free_port()?;
        let text = format!("[sqs]\nlisten = \"127.0.0.1:{sqs}\"\n{tables}");
        let host = serve(keys, &text, None, false).await?;
        Ok(Stage {
            api: host.address,
            sqs: SocketAddr::from(([127, 0, 0, 1], sqs)),
            host,
        })
    }

    pub fn usage(&self) -> Result<Usage> {
        self.host.usage()
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
}

pub async fn count(connection: &mut Connection, queue: &str, what: &str) -> Result<u64> {
    let request = get(&format!("/v1/queues/{queue}"));
    let view: Value = serde_json::from_slice(connection.done(&request).await?)?;
    let count = view[what].as_u64();
    count.with_context(|| format!("the view of {queue} has no {what}: {view}"))
}

/// Starts a host that listens at [`Server::address`], with these keys and tables beside, and one module.
pub async fn serve(keys: &str, tables: &str, module: Option<&Path>, trace: bool) -> Result<Server> {
    let program = program()?;
    let server = Server::start("gristmill", trace, |folder, port| {
        let config = folder.join("gristmill.toml");
        let text = format!(
            "[host]\nlog = \"warn\"\nmax_in_flight = 1024\n{keys}\
             [api]\nlisten = \"127.0.0.1:{port}\"\nmax_connections = 4096\n{tables}"
        );
        fs::write(&config, text)?;
        fs::create_dir(folder.join("handlers"))?;
        if let Some(module) = module {
            let name = module.file_name().context("a module has a name")?;
            fs::copy(module, folder.join("handlers").join(name))?;
        }
        let mut program = Program::at(program);
        program.arg("--config").arg(config).arg("serve");
        Ok(program)
    })?;
    // It listens before its modules are compiled.
    let waiting = async {
        let mut connection = Connection::open(server.address).await?;
        while connection.ask(&get("/readyz")).await?.status != 200 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        anyhow::Ok(())
    };
    let ready = tokio::time::timeout(PATIENCE, waiting).await;
    ready.with_context(|| format!("the host is not ready:\n{}", server.log()))??;
    Ok(server)
}

/// The program of this build, or another that is to be compared with it.
fn program() -> Result<PathBuf> {
    match std::env::var_os(OTHER_PROGRAM) {
        Some(other) => Ok(other.into()),
        None => Ok(gristmill()?.to_owned()),
    }
}
