//! A fake delivery, so that handlers can be tested natively and without a host.
//!
//! It follows the rules of the host: reads see the handler's own writes, effects count only if the
//! handler succeeds, and the limits are the host's defaults. It does not know back-off, conflicts
//! with other deliveries, or time: [`delivery::remaining`](crate::delivery::remaining) is what the
//! test says it is.
//!
//! ```
//! use gristmill_sdk::prelude::*;
//! use gristmill_sdk::testing::Delivery;
//!
//! fn handle(message: Message) -> Result<(), Failure> {
//!     if message.attempt < 3 {
//!         send("never", "seen")?;
//!         return Err(Failure::retry("the gateway is down"));
//!     }
//!     state::add("paid", 1)?;
//!     send("receipts", json!({ "paid": message.text()? }))?;
//!     Ok(())
//! }
//!
//! let mut delivery = Delivery::new();
//! let order = Message::with_text("order 7");
//! assert!(delivery.run(handle, order.clone()).is_err());
//! assert!(delivery.sent().is_empty());
//!
//! assert_eq!(delivery.run(handle, order.with_attempt(3)), Ok(()));
//! assert_eq!(delivery.counter("paid"), 1);
//! assert_eq!(delivery.sent()[0].to, "receipts");
//! assert_eq!(delivery.sent()[0].json::<serde_json::Value>(), json!({ "paid": "order 7" }));
//! ```

pub(crate) mod attempt;
mod held;
mod limits;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Message, MessageId, Outgoing, Verdict};
use attempt::Attempt;
use held::{Held, Value};

/// What the test says about every delivery.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The queues that may be sent to, and their largest body; `None`: all.
    queues: Option<BTreeMap<String, u64>>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) previous_failure: Option<String>,
    pub(crate) remaining: Duration,
    max_remaining: Duration,
    pub(crate) ending: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            queues: None,
            secrets: BTreeMap::new(),
            max_attempts: Some(10),
            previous_failure: None,
            remaining: Duration::from_secs(30),
            max_remaining: Duration::from_secs(15 * 60),
            ending: false,
        }
    }
}

/// A message that was sent by a handler that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The queue it was sent to.
    pub to: String,
    /// Its id.
    pub id: MessageId,
    /// What was sent.
    pub message: Outgoing,
    /// Whether it is a reply.
    pub reply: bool,
}

impl Sent {
    /// The body, read as JSON.
    ///
    /// # Panics
    /// When the body is not the JSON expected: the test fails.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.message.body) {
            Ok(value) => value,
            Err(problem) => panic!("the message sent to {:?} is other JSON: {problem}", self.to),
        }
    }

    /// The body, read as text.
    ///
    /// # Panics
    /// When the body is not UTF-8: the test fails.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.message.body) {
            Ok(text) => text,
            Err(problem) => panic!("the message sent to {:?} is no text: {problem}", self.to),
        }
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.message.attributes.iter();
        let found = attributes.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A host in small: it runs handlers, and keeps what they sent and stored.
#[derive(Debug, Default)]
pub struct Delivery {
    setup: Setup,
    state: BTreeMap<String, Value>,
    sent: Vec<Sent>,
    progress: Option<(u8, String)>,
    ids: u64,
}

/// Setting the scene.
impl Delivery {
    /// A host with an empty state and no secrets, where every queue may be sent to.
    #[must_use]
    pub fn new() -> Self {
        Delivery::default()
    }

    /// Allows sending to this queue, which takes bodies up to 256 KiB. From the first call on, only
    /// queues so named are allowed.
    pub fn allow(&mut self, queue: &str) -> &mut Self {
        self.allow_up_to(queue, limits::MAX_BODY)
    }

    /// As [`Delivery::allow`], for a queue that takes bodies of at most so many bytes.
    pub fn allow_up_to(&mut self, queue: &str, max_body: u64) -> &mut Self {
        let queues = self.setup.queues.get_or_insert_default();
        queues.insert(queue.to_owned(), max_body);
        self
    }

    /// Stores a value.
    pub fn set_state(&mut self, key: &str, value: impl Into<Vec<u8>>) -> &mut Self {
        self.state
            .insert(key.to_owned(), Value::plain(value.into()));
        self
    }

    /// Stores a value as JSON.
    ///
    /// # Panics
    /// When the value cannot be written as JSON: the test fails.
    #[track_caller]
    pub fn set_state_json<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> &mut Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.set_state(key, bytes),
            Err(problem) => panic!("the value for {key:?} is no JSON: {problem}"),
        }
    }

    /// Stores a counter.
    pub fn set_counter(&mut self, key: &str, count: i64) -> &mut Self {
        self.state.insert(key.to_owned(), Value::counter(count));
        self
    }

    /// Grants a secret.
    pub fn set_secret(&mut self, name: &str, value: &str) -> &mut Self {
        let secrets = &mut self.setup.secrets;
        secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets how many attempts a message gets; 10 unless told otherwise.
    pub fn set_max_attempts(&mut self, limit: Option<u32>) -> &mut Self {
        self.setup.max_attempts = limit;
        self
    }

    /// Sets why the previous attempt failed.
    pub fn set_previous_failure(&mut self, reason: Option<&str>) -> &mut Self {
        self.setup.previous_failure = reason.map(str::to_owned);
        self
    }

    /// Sets the time left when a handler starts (30 s unless told otherwise) and how far it can be
    /// extended (15 min).
    pub fn set_remaining(&mut self, remaining: Duration, most: Duration) -> &mut Self {
        self.setup.remaining = remaining;
        self.setup.max_remaining = most;
        self
    }

    /// Sets whether handlers are asked to wind up.
    pub fn set_ending(&mut self, ending: bool) -> &mut Self {
        self.setup.ending = ending;
        self
    }
}

/// Running handlers, and what came of it.
impl Delivery {
    /// Calls a handler with a message. If it succeeds, what it sent and stored is kept; otherwise,
    /// and if it panics, that is dropped.
    ///
    /// # Errors
    /// What the handler returned.
    ///
    /// # Panics
    /// When the handler does, or if a delivery is already running on this thread.
    pub fn run<V: Verdict>(
        &mut self,
        handler: impl FnOnce(Message) -> V,
        message: Message,
    ) -> Result<(), Failure> {
        let one = |mut messages: Vec<Message>| messages.pop().map(handler).into_iter().collect();
        let mut results = self.run_batch(one, [message]);
        results.pop().expect("one result for one message")
    }

    /// Calls a handler with a batch of messages. If one of them is `Ok`, all that was sent and
    /// stored and not rolled back is kept; otherwise, and if the handler panics, it is dropped. For
    /// a handler of single messages, pass `|messages| batch::each(handle, messages)`.
    ///
    /// # Panics
    /// When the handler does or returns another number of results, which the host takes for a
    /// trap; or if a delivery is already running on this thread.
    pub fn run_batch<V: Verdict>(
        &mut self,
        handler: impl FnOnce(Vec<Message>) -> Vec<V>,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Result<(), Failure>> {
        let messages: Vec<Message> = messages.into_iter().collect();
        let count = messages.len();
        let mut setup = self.setup.clone();
        if count > 1 {
            setup.previous_failure = None;
        }
        let held = Held::over(self.state.clone(), count);
        let attempt = Attempt::new(setup, held, self.ids, &messages);
        let running = Running::start(attempt);
        let results: Vec<_> = handler(messages)
            .into_iter()
            .map(Verdict::into_result)
            .collect();
        let attempt = running.stop();
        assert_eq!(
            results.len(),
            count,
            "a handler returns one result for each message: the host would trap here"
        );
        self.ids = attempt.ids;
        self.progress = attempt.progress;
        if results.iter().any(Result::is_ok) {
            self.state = attempt.held.changes.state;
            self.sent.extend(attempt.held.changes.sent);
        }
        results
    }

    /// All that handlers which succeeded have sent, in order.
    #[must_use]
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// What was sent to one queue.
    pub fn sent_to(&self, queue: &str) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.to == queue)
    }

    /// The value of a state key.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<&[u8]> {
        self.state.get(key).map(|value| value.bytes.as_slice())
    }

    /// The value of a state key, read as JSON.
    ///
    /// # Panics
    /// When the value is not the JSON expected: the test fails.
    #[must_use]
    #[track_caller]
    pub fn state_json<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let bytes = self.state(key)?;
        match serde_json::from_slice(bytes) {
            Ok(value) => Some(value),
            Err(problem) => panic!("the value of {key:?} is other JSON: {problem}"),
        }
    }

    /// What a counter stands at; 0 if there is none.
    ///
    /// # Panics
    /// When the key holds something else: the test fails.
    #[must_use]
    #[track_caller]
    pub fn counter(&self, key: &str) -> i64 {
        let Some(value) = self.state.get(key) else {
            return 0;
        };
        assert!(value.counter, "{key:?} holds no counter");
        value.count()
    }

    /// The keys of the state, in byte order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.state.keys().map(String::as_str)
    }

    /// What the last handler that ran said about its progress.
    #[must_use]
    pub fn progress(&self) -> Option<(u8, &str)> {
        let progress = self.progress.as_ref();
        progress.map(|(percent, note)| (*percent, note.as_str()))
    }
}

thread_local! {
    static RUNNING: RefCell<Option<Attempt>> = const { RefCell::new(None) };
}

/// The attempt on this thread, taken away again even when the handler panics.
struct Running;

impl Running {
    fn start(attempt: Attempt) -> Self {
        RUNNING.with_borrow_mut(|running| {
            assert!(
                running.is_none(),
                "a delivery is already running on this thread: a handler cannot run another"
            );
            *running = Some(attempt);
        });
        Running
    }

    fn stop(self) -> Attempt {
        let attempt = RUNNING.take();
        attempt.expect("the attempt that was started is still there")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(RUNNING.take());
    }
}

/// Gives the attempt on this thread to one call of the handler.
pub(crate) fn with<R>(call: impl FnOnce(&mut Attempt) -> R) -> R {
    RUNNING.with_borrow_mut(|running| {
        let attempt = running.as_mut().expect(
            "no delivery is running on this thread: call the handler through gristmill_sdk::testing::Delivery::run",
        );
        call(attempt)
    })
}
