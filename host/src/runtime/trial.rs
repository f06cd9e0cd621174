//! The last check before a version may serve: it is instantiated under its own limits, a few times,
//! which also tells how long that takes and so whether instances should be reused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_queue::effects::{StateReader, StateUnavailable, StateValue};
use gristmill_queue::{IdSource, Message, QueueName, Timestamp, Transaction};

use super::failure::{self, Phase};
use super::form::Form;
use super::instance::{Call, Messages};
use super::load_error::LoadError;
use super::spec::MaxCalls;
use super::version::{HandlerVersion, Reuse};
use super::{EndingFlag, clock};

/// Instances made to measure how long that takes. The first ones find everything cold, and the
/// pool clears its slots in batches, so only the later half counts.
const TRIALS: usize = 64;
/// Fewer, if they take longer than this together.
const TRIAL_TIME: Duration = Duration::from_millis(100);
/// `MaxCalls::Auto` reuses instances if making one takes longer than this.
const SLOW_INSTANTIATION: Duration = Duration::from_micros(200);
/// Nor are fresh instances made of more machine code than this, however quickly: it is the runtime of a
/// language, and what a fresh instance of one costs is in its first call, which touches all its pages anew.
/// QuickJS has 5 MB, and a fresh call takes eight times as long as another.
const LARGE_CODE: u64 = 4 * 1024 * 1024;
/// How often `MaxCalls::Auto` then uses an instance.
const CALLS_IF_SLOW: u32 = 64;
/// The least time a trial has, however short the timeout: a host that is just starting is busy, and what it
/// takes of a few milliseconds says nothing about the module.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// Instantiates the version a few times, and settles how often an instance is used.
pub(super) fn tried(
    file: &str,
    mut version: HandlerVersion,
) -> Result<Arc<HandlerVersion>, LoadError> {
    let ticking = version.runtime.ticker.run();
    // A thread of its own: whoever calls may already be inside an executor.
    let trial = std::thread::scope(|scope| {
        let trial = scope.spawn(|| -> Result<_, String> {
            let executor = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .map_err(|error| error.to_string())?;
            Ok(executor.block_on(trial(&version)))
        });
        trial.join().unwrap_or(Err("the trial panicked".to_owned()))
    });
    drop(ticking);
    let (instantiation, initial_memory) = trial
        .map_err(|problem| ("instantiation", problem))
        .and_then(|result| result)
        .map_err(|(reason, problem)| LoadError::Trial {
            file: file.to_owned(),
            reason,
            problem,
        })?;
    version.facts.sizes.initial_memory = initial_memory;
    version.reuse = reuse(
        version.form(),
        version.shared.spec.limits.max_calls,
        instantiation,
        version.facts.sizes.compiled,
    );
    Ok(Arc::new(version))
}

/// A program runs once. Those who write for other hosts count on fresh instances, so theirs are reused
/// only if the configuration says so.
fn reuse(form: Form, max_calls: MaxCalls, instantiation: Duration, code: u64) -> Reuse {
    let slow = instantiation > SLOW_INSTANTIATION || code > LARGE_CODE;
    let (calls, chosen_by_host) = match max_calls {
        _ if form == Form::Command => (1, false),
        MaxCalls::Fixed(calls) => (calls.max(1), false),
        MaxCalls::Auto if slow && form == Form::Queue => (CALLS_IF_SLOW, true),
        MaxCalls::Auto => (1, false),
    };
    Reuse {
        calls,
        chosen_by_host,
        instantiation,
    }
}

/// The median time to make an instance and throw it away, and the memory that a new one holds.
async fn trial(version: &HandlerVersion) -> Result<(Duration, u64), (&'static str, String)> {
    let mut times = Vec::with_capacity(TRIALS);
    let mut memory = 0;
    let began = Instant::now();
    while times.len() < 3 || (times.len() < TRIALS && began.elapsed() < TRIAL_TIME) {
        let began = Instant::now();
        memory = instantiate_once(version).await?;
        times.push(began.elapsed());
    }
    let later = times.len() / 2;
    let times = &mut times[later..];
    times.sort_unstable();
    Ok((times[times.len() / 2], memory))
}

async fn instantiate_once(version: &HandlerVersion) -> Result<u64, (&'static str, String)> {
    let mut store = version.store();
    store.data_mut().begin(Box::new(trial_call()));
    store.set_epoch_deadline(1);
    let clock = Arc::clone(&store.data().clock);
    let mut limits = version.shared.spec.limits.clone();
    limits.timeout = limits.timeout.max(LEAST_TIME);
    clock.start(&limits);
    let result = {
        let mut work = std::pin::pin!(version.instantiate(&mut store));
        clock::within(&clock, work.as_mut()).await
    };
    let sandbox = store.data();
    let error = match result {
        Some(Ok(_)) => return Ok(sandbox.limiter.held()),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let failure = failure::classify(error.as_ref(), Phase::Instantiating, sandbox);
    Err((failure.reason.as_str(), failure.error))
}

/// A delivery of nothing, for start functions that look around.
fn trial_call() -> Call {
    struct NoState;
    impl StateReader for NoState {
        fn get(&self, _key: &str) -> Result<Option<StateValue>, StateUnavailable> {
            Err(StateUnavailable("there is none in a trial".to_owned()))
        }
        fn list(
            &self,
            _prefix: &str,
            _after: Option<&str>,
            _limit: usize,
        ) -> Result<Vec<String>, StateUnavailable> {
            Err(StateUnavailable("there is none in a trial".to_owned()))
        }
    }
    let ids = Arc::new(IdSource::new(0, 0));
    let message = Message {
        id: ids.mint(Timestamp::ZERO),
        queue: trial_queue(),
        enqueued_at: Timestamp::ZERO,
        expires_at: None,
        envelope: gristmill_queue::Envelope::default(),
        body: bytes::Bytes::new(),
        blob: None,
    };
    Call {
        messages: Messages::One(Arc::new(message)),
        attempt: 1,
        max_attempts: None,
        previous_failure: None,
        transaction: Transaction::new(
            Arc::new(NoState),
            ids,
            Arc::default(),
            gristmill_queue::effects::EffectLimits::default(),
            Timestamp::ZERO,
        ),
        ending: EndingFlag::default(),
        progress: None,
        large: None,
        damaged: false,
    }
}

#[expect(clippy::expect_used, reason = "a constant that is a queue name")]
fn trial_queue() -> QueueName {
    QueueName::new("trial").expect("a queue name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_or_large_handler_of_ours_is_reused_and_no_other() {
        let (quick, slow) = (Duration::from_micros(50), Duration::from_micros(201));
        let (small, large) = (80 << 10, 5 << 20);
        let calls = |form, instantiation, code| {
            let reuse = reuse(form, MaxCalls::Auto, instantiation, code);
            assert_eq!(reuse.chosen_by_host, reuse.calls > 1);
            reuse.calls
        };
        assert_eq!(calls(Form::Queue, quick, small), 1);
        assert_eq!(calls(Form::Queue, slow, small), CALLS_IF_SLOW);
        assert_eq!(calls(Form::Queue, quick, large), CALLS_IF_SLOW);
        for form in [Form::Messaging, Form::Http, Form::Command] {
            assert_eq!(calls(form, slow, large), 1, "{form:?}");
        }
        let fresh = reuse(Form::Queue, MaxCalls::Fixed(1), slow, large);
        assert_eq!((fresh.calls, fresh.chosen_by_host), (1, false));
    }
}
