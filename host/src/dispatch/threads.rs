//! The threads that run handlers and nothing else, in two lanes.
//!
//! A delivery begins on the quick threads. One that has computed for longer than
//! [`QUICK`](crate::runtime::QUICK) goes on on the patient ones. Where nearly all of a queue's deliveries
//! do, or have to be stopped, the next begin there ([`Pace`]).
//!
//! For as long as quick deliveries come and go the patient threads rest after each turn: a scheduler that
//! lets a thread finish its slice would else hold up each of the steps between a send and its ack. A lower
//! priority alone did nothing against that, and would starve them when other programs keep the machine
//! busy. How long they rest follows from how much was quick meanwhile: a trickle costs them little, a flood
//! leaves them a tenth of the machine, and they have all of it when there is nothing else to do.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use gristmill_queue::Outcome;
use gristmill_queue::outcome::Reason;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::runtime::{note_long, took_long};

/// How many times as long as it computed a patient thread rests at the most.
const MOST_REST: u32 = 9;
/// How long the patient threads rest for each quick delivery, all together: some four times what it costs
/// the whole host.
const REST_EACH: Duration = Duration::from_micros(160);
/// Less than this is not rested, but owed until it is more.
const LEAST_REST: Duration = Duration::from_millis(1);
/// How long the threads may take to stop after their deliveries were dropped.
const STOP: Duration = Duration::from_secs(2);

/// Whether the deliveries of a queue have computed for long lately.
#[derive(Debug, Default)]
pub struct Pace(AtomicU32);

impl Pace {
    const LONG: u32 = 1024;

    /// The last ones count most; when two run at once, one of them may not be counted.
    fn note(&self, is_long: bool) {
        let lately = self.0.load(Ordering::Relaxed);
        let new = lately - lately / 4 + if is_long { Self::LONG / 4 } else { 0 };
        // What is always quick writes nothing that other threads read.
        if new != lately {
            self.0.store(new, Ordering::Relaxed);
        }
    }

    /// Whether nearly all did.
    fn is_patient(&self) -> bool {
        self.0.load(Ordering::Relaxed) > Self::LONG / 4 * 3
    }
}

/// Where deliveries are started.
#[derive(Clone, Debug)]
pub struct Guests {
    quick: Handle,
    patient: Handle,
    threads: u32,
    ended: Arc<AtomicU64>,
}

impl From<Handle> for Guests {
    /// Both lanes on the same threads.
    fn from(handle: Handle) -> Self {
        Guests {
            quick: handle.clone(),
            patient: handle,
            threads: 1,
            ended: Arc::default(),
        }
    }
}

impl Guests {
    /// Starts what starts deliveries.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.quick.spawn(work);
    }

    /// Starts a delivery of a queue that has this pace, from a quick thread.
    pub(super) fn spawn_delivery(
        &self,
        pace: &Arc<Pace>,
        delivery: impl Future<Output = ()> + Send + 'static,
    ) {
        let (delivery, pace): (Delivery, _) = (Box::pin(delivery), Arc::clone(pace));
        if pace.is_patient() {
            self.patient.spawn(Patient {
                delivery,
                guests: self.clone(),
                pace: Some(pace),
            });
        } else {
            tokio::spawn(Quick {
                delivery: Some(delivery),
                guests: self.clone(),
                pace,
            });
        }
    }

    /// How long a patient thread should rest now that has computed for so long since it was last asked.
    fn rest(&self, computed: Duration) -> Duration {
        thread_local! {
            /// How many quick deliveries had ended then.
            static SEEN: Cell<u64> = const { Cell::new(0) };
            /// How long it should have rested and did not.
            static OWED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        }
        let ended = self.ended.load(Ordering::Relaxed);
        let meanwhile = ended - SEEN.replace(ended).min(ended);
        let meanwhile = u32::try_from(meanwhile).unwrap_or(u32::MAX);
        let all = REST_EACH.saturating_mul(meanwhile) / self.threads;
        let owed = OWED.take() + all.min(computed * MOST_REST);
        if owed >= LEAST_REST {
            return owed;
        }
        OWED.set(owed);
        Duration::ZERO
    }
}

/// For how long this thread has computed since it was last asked, be it for a delivery or in between.
fn computed() -> Duration {
    thread_local! {
        static BEFORE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let now = Duration::try_from(now).unwrap_or_default();
    now.saturating_sub(BEFORE.replace(now))
}

/// What the host had to stop has cost more than its own time: stacks and memories to clear, backtraces.
/// It counts as if it had computed for long.
pub(super) fn weigh(outcome: &Outcome) {
    if let Outcome::Failed { reason, .. } = outcome
        && !matches!(reason, Reason::Retry | Reason::LeaseExpired)
    {
        note_long();
    }
}

type Delivery = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A delivery for as long as it is quick.
struct Quick {
    delivery: Option<Delivery>,
    guests: Guests,
    pace: Arc<Pace>,
}

impl Future for Quick {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(delivery) = &mut self.delivery else {
            return Poll::Ready(());
        };
        let is_ready = delivery.as_mut().poll(context).is_ready();
        let is_long = took_long();
        if is_ready || is_long {
            self.pace.note(is_long);
        }
        if is_ready {
            self.guests.ended.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(());
        }
        if !is_long {
            return Poll::Pending;
        }
        if let Some(delivery) = self.delivery.take() {
            let guests = self.guests.clone();
            self.guests.patient.spawn(Patient {
                delivery,
                guests,
                pace: None,
            });
        }
        Poll::Ready(())
    }
}

/// A delivery that has computed for long, or is expected to.
struct Patient {
    delivery: Delivery,
    guests: Guests,
    /// What its end is noted in, if it is not yet.
    pace: Option<Arc<Pace>>,
}

impl Future for Patient {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let polled = self.delivery.as_mut().poll(context);
        let is_long = took_long();
        if (is_long || polled.is_ready())
            && let Some(pace) = self.pace.take()
        {
            pace.note(is_long);
        }
        let rest = self.guests.rest(computed());
        if !rest.is_zero() {
            // The thread rests, and with it whatever else computes for long on it.
            std::thread::sleep(rest);
        }
        polled
    }
}

/// The threads of both lanes. Dropping them drops their deliveries, and does not wait.
#[derive(Debug)]
pub struct GuestThreads {
    quick: Option<Runtime>,
    patient: Option<Runtime>,
    threads: u32,
}

impl GuestThreads {
    /// Starts so many threads for each lane.
    ///
    /// # Errors
    /// When the system has none left.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let lane = |name: &str| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads).thread_name(name);
            builder.enable_all().build()
        };
        Ok(GuestThreads {
            quick: Some(lane("guest")?),
            patient: Some(lane("patient guest")?),
            threads: u32::try_from(threads).unwrap_or(u32::MAX).max(1),
        })
    }

    /// Where deliveries are started.
    ///
    /// # Panics
    /// Never: the threads are there until they are stopped.
    #[must_use]
    pub fn guests(&self) -> Guests {
        let handle = |lane: &Option<Runtime>| {
            let lane = lane.as_ref().expect("it runs until it is stopped");
            lane.handle().clone()
        };
        Guests {
            quick: handle(&self.quick),
            patient: handle(&self.patient),
            threads: self.threads,
            ended: Arc::default(),
        }
    }

    /// Drops all deliveries and waits for the threads, a little.
    pub async fn stop(mut self) {
        let lanes = [self.quick.take(), self.patient.take()];
        // Waiting for threads would block those that serve.
        let stopping = tokio::task::spawn_blocking(move || {
            for lane in lanes.into_iter().flatten() {
                lane.shutdown_timeout(STOP);
            }
        });
        let _ = stopping.await;
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        for lane in [self.quick.take(), self.patient.take()]
            .into_iter()
            .flatten()
        {
            lane.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// The threads on which a delivery was polled, one after the other.
    async fn polled(takes_long: bool) -> Vec<Option<String>> {
        let threads = GuestThreads::start(1).unwrap();
        let guests = threads.guests();
        let (seen, ended) = (Arc::default(), tokio::sync::oneshot::channel());
        let (told, polls) = (ended.0, Arc::clone(&seen));
        let look = move |seen: &Mutex<Vec<_>>| {
            let name = std::thread::current().name().map(str::to_owned);
            seen.lock().unwrap().push(name);
        };
        let starting = guests.clone();
        guests.spawn(async move {
            starting.spawn_delivery(&Arc::default(), async move {
                look(&polls);
                if takes_long {
                    note_long();
                }
                tokio::task::yield_now().await;
                look(&polls);
                let _ = told.send(());
            });
        });
        ended.1.await.unwrap();
        threads.stop().await;
        Arc::into_inner(seen).unwrap().into_inner().unwrap()
    }

    #[test]
    fn deliveries_are_expected_to_take_as_long_as_nearly_all_of_the_last_ones_did() {
        let pace = Pace::default();
        let after = |is_long: bool, times: usize| {
            (0..times).for_each(|_| pace.note(is_long));
            pace.is_patient()
        };
        assert!(!after(true, 4));
        assert!(after(true, 1));
        assert!(after(true, 1000));
        assert!(!after(false, 2));
        assert!(!(0..100).any(|number| after(number % 2 == 0, 1)));
    }

    #[tokio::test]
    async fn rests_follow_from_how_much_was_quick_and_from_how_long_a_thread_computed() {
        let threads = GuestThreads::start(2).unwrap();
        let guests = threads.guests();
        let computed = Duration::from_millis(1);
        assert_eq!(guests.rest(computed), Duration::ZERO);
        // Less than a millisecond is owed until it is more, whoever computes meanwhile.
        for (ended, rest) in [(6, 0), (12, 0), (18, 1440), (18, 0), (10_000, 9000)] {
            guests.ended.store(ended, Ordering::Relaxed);
            let rested = guests.rest(computed);
            assert_eq!(rested, Duration::from_micros(rest), "after {ended}");
        }
        threads.stop().await;
    }

    #[tokio::test]
    async fn what_computes_for_long_goes_on_on_the_patient_threads() {
        let quick = Some("guest".to_owned());
        let patient = Some("patient guest".to_owned());
        assert_eq!(polled(false).await, [quick.clone(), quick.clone()]);
        assert_eq!(polled(true).await, [quick, patient]);
    }
}
