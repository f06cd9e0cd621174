//! The load: many connections, each of which asks again when it is answered.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::figures::Waits;
use crate::http::Connection;
use crate::stage::Stage;
use crate::usage::own_cpu;

/// For so long it runs before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// What came of it.
pub struct Load {
    /// Messages that were done while it was counted.
    pub messages: u64,
    /// All of them, those of the warm-up and of the end included.
    pub all: u64,
    pub elapsed: Duration,
    pub waits: Waits,
    pub host_cpu: Duration,
    pub own_cpu: Duration,
}

/// What the connections tell each other; they all run on one thread.
struct Shared {
    counting: Cell<bool>,
    ended: Cell<bool>,
}

/// Has each connection do `once` again and again, which says how many messages that were, for a while, or
/// until it says none.
pub async fn closed<F>(
    stage: &Stage,
    address: SocketAddr,
    connections: usize,
    seconds: f64,
    once: F,
) -> Result<Load>
where
    F: AsyncFn(&mut Connection, usize) -> Result<u64> + 'static,
{
    let once = Rc::new(once);
    let shared = Rc::new(Shared {
        counting: Cell::new(false),
        ended: Cell::new(false),
    });
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let mut connection = Connection::open(address).await?;
        let (once, shared) = (Rc::clone(&once), Rc::clone(&shared));
        tasks.spawn_local(async move {
            let (mut waits, mut messages, mut all) = (Waits::default(), 0, 0);
            while !shared.ended.get() {
                let counted = shared.counting.get();
                let began = Instant::now();
                let done = once(&mut connection, number).await?;
                if done == 0 {
                    // There is no more; what is counted ends here.
                    shared.ended.set(true);
                    break;
                }
                all += done;
                if counted && shared.counting.get() {
                    waits.add(began.elapsed());
                    messages += done;
                }
            }
            anyhow::Ok((waits, messages, all))
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let (host_before, own_before, began) = (stage.usage()?.cpu, own_cpu(), Instant::now());
    shared.counting.set(true);
    let due = began + Duration::from_secs_f64(seconds);
    while Instant::now() < due && !shared.ended.get() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    shared.counting.set(false);
    let mut load = Load {
        messages: 0,
        all: 0,
        elapsed: began.elapsed(),
        waits: Waits::default(),
        host_cpu: stage.usage()?.cpu.saturating_sub(host_before),
        own_cpu: own_cpu().saturating_sub(own_before),
    };
    shared.ended.set(true);
    while let Some(ended) = tasks.join_next().await {
        let (waits, messages, all) = ended??;
        load.waits.join(waits);
        load.messages += messages;
        load.all += all;
    }
    Ok(load)
}
