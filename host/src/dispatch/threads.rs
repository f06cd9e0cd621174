//! The threads that run handlers and nothing else, in two lanes.
//!
//! A delivery begins on the quick threads. One that has computed for longer than
//! [`QUICK`](crate::runtime::QUICK) goes on on the patient ones. For as long as quick deliveries come and
//! go these rest after each turn: a scheduler that lets a thread finish its slice would else hold up each
//! of the steps between a send and its ack. A lower priority alone did nothing against that, and would
//! starve them when other programs keep the machine busy. So a few handlers that
//! compute for seconds do not hold up those that need microseconds, they always get a fifth of the
//! machine, and all of it when there is nothing else to do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::runtime::took_long;

/// How long a patient thread rests after a turn, which takes about a millisecond, if quick deliveries
/// ended since the last one.
const REST: Duration = Duration::from_millis(4);
/// How long the threads may take to stop after their deliveries were dropped.
const STOP: Duration = Duration::from_secs(2);

/// Where deliveries are started.
#[derive(Clone, Debug)]
pub struct Guests {
    quick: Handle,
    patient: Handle,
    ended: Arc<AtomicU64>,
}

impl From<Handle> for Guests {
    /// Both lanes on the same threads.
    fn from(handle: Handle) -> Self {
        Guests {
            quick: handle.clone(),
            patient: handle,
            ended: Arc::default(),
        }
    }
}

impl Guests {
    /// Starts what starts deliveries.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.quick.spawn(work);
    }

    /// Starts a delivery, from a quick thread.
    pub(super) fn spawn_delivery(&self, delivery: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(Quick {
            delivery: Some(Box::pin(delivery)),
            guests: self.clone(),
        });
    }
}

type Delivery = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A delivery for as long as it is quick.
struct Quick {
    delivery: Option<Delivery>,
    guests: Guests,
}

impl Future for Quick {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(delivery) = &mut self.delivery else {
            return Poll::Ready(());
        };
        if delivery.as_mut().poll(context).is_ready() {
            self.guests.ended.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(());
        }
        if !took_long() {
            return Poll::Pending;
        }
        if let Some(delivery) = self.delivery.take() {
            self.guests.patient.spawn(Patient {
                delivery,
                ended: Arc::clone(&self.guests.ended),
                seen: 0,
            });
        }
        Poll::Ready(())
    }
}

/// A delivery that has computed for long.
struct Patient {
    delivery: Delivery,
    ended: Arc<AtomicU64>,
    /// How many quick ones had ended after its last turn.
    seen: u64,
}

impl Future for Patient {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.delivery.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if took_long() {
            let ended = self.ended.load(Ordering::Relaxed);
            if ended != std::mem::replace(&mut self.seen, ended) {
                // The thread rests, and with it whatever else computes for long on it.
                std::thread::sleep(REST);
            }
        }
        Poll::Pending
    }
}

/// The threads of both lanes. Dropping them drops their deliveries, and does not wait.
#[derive(Debug)]
pub struct GuestThreads {
    quick: Option<Runtime>,
    patient: Option<Runtime>,
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
    use crate::runtime::note_long;

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
            starting.spawn_delivery(async move {
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

    #[tokio::test]
    async fn what_computes_for_long_goes_on_on_the_patient_threads() {
        let quick = Some("guest".to_owned());
        let patient = Some("patient guest".to_owned());
        assert_eq!(polled(false).await, [quick.clone(), quick.clone()]);
        assert_eq!(polled(true).await, [quick, patient]);
    }
}
