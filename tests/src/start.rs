//! How long a host that was killed takes to start on a large store, and to deliver the first message.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::Host;

/// How many messages are sent together.
const BATCH: u64 = 1000;
/// Bytes in the body of each.
const BODY: usize = 1000;
/// How often it is killed and started.
const STARTS: usize = 5;

/// The handler of the other queue is there from the beginning, so that its module is compiled.
const LOADING: &str =
    "[host]\nlog = \"warn\"\n[queue.other]\nhandler = \"sink.wasm\"\n[queue.backlog]\n";
const DELIVERING: &str = "[host]\nlog = \"warn\"\n[queue.other]\nhandler = \"sink.wasm\"\n\
     [queue.backlog]\nhandler = \"sink.wasm\"\nconcurrency = 1\n";

/// Fills a queue with so many messages of 1,000 bytes, kills the host and starts it again, five times,
/// and prints what each start took.
///
/// # Errors
/// When the host does not start, or delivers nothing.
pub fn measure_start(messages: u64) -> Result<()> {
    let mut host = Host::new(LOADING, &["sink"])?;
    host.start()?;
    host.send("other", "so that the module is compiled")?;
    host.wait_settled(&["other"])?;
    fill(&host, messages)?;
    let size = std::fs::metadata(host.data().join("store.redb"))?.len();
    println!(
        "{messages} messages of {BODY} bytes; the store has {} MB",
        size / 1_000_000
    );
    println!("{:>12}  {:>16}", "ready, ms", "first ack, ms");
    for _ in 0..STARTS {
        host.kill()?;
        host.configure(DELIVERING)?;
        let began = Instant::now();
        host.launch(&["serve"])?;
        wait(&host, began, |host| {
            Ok(host.socket().get("/readyz")?.status == 200)
        })?;
        let ready = began.elapsed();
        wait(&host, began, |host| Ok(host.queue("backlog")?.acked > 0))?;
        let first = began.elapsed();
        println!("{:>12.0}  {:>16.0}", ms(ready), ms(first));
    }
    Ok(())
}

fn fill(host: &Host, messages: u64) -> Result<()> {
    let body = "x".repeat(BODY);
    for batch in 0..messages / BATCH {
        let items: Vec<String> = (0..BATCH)
            .map(|at| format!("{{\"body\":\"{}{}\"}}", batch * BATCH + at, body))
            .collect();
        let batch = format!("{{\"messages\":[{}]}}", items.join(","));
        let path = "/v1/queues/backlog/messages/batch";
        let answer = host.socket().post(path, &[], batch.as_bytes())?;
        ensure!(answer.status == 201, "a batch is refused: {}", answer.text);
    }
    Ok(())
}

/// Looks every millisecond: what is measured takes some hundred.
fn wait(host: &Host, began: Instant, mut done: impl FnMut(&Host) -> Result<bool>) -> Result<()> {
    while !done(host).unwrap_or(false) {
        ensure!(
            began.elapsed() < Duration::from_secs(120),
            "the host does not get there:\n{}",
            host.log()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
