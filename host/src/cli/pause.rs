//! `gristmill pause`, and its end

use gristmill_queue::QueueName;
use serde::Serialize;

use super::Global;
use super::door::Door;
use super::exit::Failure;
use super::print::Screen;

#[derive(clap::Args, Debug)]
pub struct Pause {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
}

#[derive(Serialize)]
struct Done<'q> {
    queue: &'q str,
    paused: bool,
}

impl Pause {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        set_paused(&self.queue, true, global, screen).await
    }
}

/// Pauses a queue, or lets it deliver again.
pub async fn set_paused(
    queue: &QueueName,
    paused: bool,
    global: &Global,
    screen: Screen,
) -> Result<(), Failure> {
    let door = Door::open(global).await?;
    let done = door.set_paused(queue, paused).await;
    door.close().await;
    done?;
    if screen.json {
        return screen.json(&Done {
            queue: queue.as_str(),
            paused,
        });
    }
    let what = if paused {
        "is paused; what is in flight goes on"
    } else {
        "delivers again"
    };
    screen.talk(&format!("{queue} {what}"));
    Ok(())
}
