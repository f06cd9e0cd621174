//! Moves of messages out of a queue that takes what dies in others.
//!
//! A move is a redrive of the service, which goes on over restarts; what is remembered here is only how the
//! last ones ended, as long as the host runs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gristmill_queue::{QueueName, Timestamp};
use gristmill_store::{Destination, RedriveUnderWay};
use serde_json::{Map, Value, json};

use super::Ask;
use super::error::{Kind, SqsError};

/// How many moves are remembered, of all queues together.
const MOST: usize = 1000;

/// How a move stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It goes on.
    Running,
    /// It has moved all there was.
    Completed,
    /// Somebody ended it.
    Cancelled,
    /// It could not go on, because of this.
    Failed(&'static str),
}

/// A move.
#[derive(Clone, Debug)]
pub struct Task {
    /// The number of its redrive; of one that was done at once, one of our own.
    pub number: u64,
    /// Whence.
    pub source: QueueName,
    /// Where to, if not each back to where it died.
    pub destination: Option<QueueName>,
    /// At most so many per second, if it was said.
    pub rate: Option<u32>,
    /// When it began.
    pub started_at: Timestamp,
    /// How many messages there were.
    pub to_move: u64,
    /// How many it has moved, as far as is known.
    pub moved: u64,
    /// How it stands.
    pub status: Status,
}

/// The last moves, the latest first.
#[derive(Default)]
pub struct Tasks(Mutex<VecDeque<Task>>);

impl Tasks {
    /// Remembers a move.
    pub fn add(&self, task: Task) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.truncate(MOST - 1);
        tasks.push_front(task);
    }

    /// Notes that somebody ended a move.
    pub fn cancel(&self, number: u64, moved: u64) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let task = tasks.iter_mut().find(|task| task.number == number);
        if let Some(task) = task {
            (task.status, task.moved) = (Status::Cancelled, moved);
        }
    }

    /// The moves out of a queue as they stand, the latest first.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn of(&self, ask: &Ask<'_>, source: &QueueName) -> Result<Vec<Task>, SqsError> {
        let running = ask.sqs.queues.redrives().await?;
        let running: Vec<RedriveUnderWay> = running
            .into_iter()
            .filter(|one| one.queue == *source && moves(&one.order.to))
            .collect();
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let its = tasks.iter_mut().filter(|task| task.source == *source);
        let mut found = Vec::new();
        for task in its {
            let goes_on = running.iter().find(|one| one.number == task.number);
            match goes_on {
                Some(one) => task.moved = one.done,
                None if task.status == Status::Running => {
                    let gone = |to: &QueueName| !ask.is_there(to);
                    if task.destination.as_ref().is_some_and(gone) {
                        task.status = Status::Failed(Kind::QueueDoesNotExist.code());
                    } else {
                        (task.status, task.moved) = (Status::Completed, task.to_move);
                    }
                }
                None => {}
            }
            found.push(task.clone());
        }
        // Those that were begun before the host started this time, or by another front end.
        let unknown = running
            .iter()
            .filter(|one| !found.iter().any(|task| task.number == one.number));
        let mut all: Vec<Task> = unknown.map(Task::of).collect();
        all.extend(found);
        Ok(all)
    }
}

fn moves(to: &Destination) -> bool {
    matches!(to, Destination::Source | Destination::Onward(_))
}

impl Task {
    fn of(redrive: &RedriveUnderWay) -> Self {
        Task {
            number: redrive.number,
            source: redrive.queue.clone(),
            destination: match &redrive.order.to {
                Destination::Onward(to) => Some(to.clone()),
                _ => None,
            },
            rate: None,
            started_at: redrive.started_at,
            to_move: redrive.done,
            moved: redrive.done,
            status: Status::Running,
        }
    }

    /// By what the move is named.
    #[must_use]
    pub fn handle(&self, ask: &Ask<'_>) -> String {
        let handle = json!({
            "taskId": task_id(self.number),
            "sourceArn": ask.place.arn(&self.source),
        });
        STANDARD.encode(handle.to_string())
    }

    /// How the move is answered.
    #[must_use]
    pub fn show(&self, ask: &Ask<'_>) -> Value {
        let mut shown = Map::new();
        let mut set = |name: &str, value: Value| shown.insert(name.to_owned(), value);
        set("SourceArn", ask.place.arn(&self.source).into());
        if let Some(to) = &self.destination {
            set("DestinationArn", ask.place.arn(to).into());
        }
        if let Some(rate) = self.rate {
            set("MaxNumberOfMessagesPerSecond", rate.into());
        }
        set("StartedTimestamp", self.started_at.unix_ms().into());
        set("ApproximateNumberOfMessagesMoved", self.moved.into());
        set("ApproximateNumberOfMessagesToMove", self.to_move.into());
        let status = match &self.status {
            Status::Running => {
                set("TaskHandle", self.handle(ask).into());
                "RUNNING"
            }
            Status::Completed => "COMPLETED",
            Status::Cancelled => "CANCELLED",
            Status::Failed(reason) => {
                set("FailureReason", (*reason).into());
                "FAILED"
            }
        };
        set("Status", status.into());
        shown.into()
    }
}

fn task_id(number: u64) -> String {
    let (high, low) = (number >> 48, number & 0xffff_ffff_ffff);
    format!("{high:08x}-0000-4000-8000-{low:012x}")
}

/// The number of the move that a handle names, and the ARN of its source.
///
/// # Errors
/// When it is no handle.
pub fn read_handle(handle: &str) -> Result<(Option<u64>, String), SqsError> {
    let refused = || SqsError::value(handle, "TaskHandle", "It is not the handle of a task.");
    let bytes = STANDARD.decode(handle).map_err(|_| refused())?;
    let parsed: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    let member = |name: &str| parsed.get(name).and_then(Value::as_str);
    let (id, source) = member("taskId")
        .zip(member("sourceArn"))
        .ok_or_else(refused)?;
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
    let number = (digits.len() == 32)
        .then(|| {
            let high = u64::from_str_radix(&digits[..8], 16).ok()?;
            let low = u64::from_str_radix(&digits[20..], 16).ok()?;
            Some((high << 48) | low)
        })
        .flatten();
    Ok((
        number.filter(|number| task_id(*number) == id),
        source.to_owned(),
    ))
}
