//! Pull consumers, among the verbs of the service.

use gristmill_queue::{Fence, QueueName};
use gristmill_store::{AdminError, PullError, Pulled, Receive, ReceiveError, Received};

use super::Queues;
use super::receipt::{InvalidReceipt, Receipt};

impl Queues {
    /// Leases messages of a queue to a pull consumer: that is durable when this returns. If there is none, it
    /// waits for one, first come, first served, and returns nothing when the time is up or the host stops.
    /// Whoever drops the future waits no more, and loses nothing by it.
    ///
    /// # Errors
    /// When the queue is not there or not for pull consumers, too many wait, or the store closed.
    pub async fn receive(&self, receive: Receive) -> Result<Vec<Received>, ReceiveError> {
        let mut stopping = self.stopping.subscribe();
        let received = tokio::select! {
            received = self.store.receive(receive) => received,
            // Whether it stops or its sender is gone, nobody waits any longer.
            _ = stopping.wait_for(|stopping| *stopping) => Ok(Vec::new()),
        };
        if matches!(received, Err(ReceiveError::Busy { .. })) {
            self.admission.turned_away();
        }
        received
    }

    /// Settles leases of pull consumers of a queue, all in one commit. Says of each what became of it.
    ///
    /// # Errors
    /// When there is no such queue, or the store closed meanwhile.
    pub async fn settle_pulled(
        &self,
        queue: QueueName,
        verdicts: Vec<(Fence, Pulled)>,
    ) -> Result<Vec<Result<(), PullError>>, AdminError> {
        self.store.settle_pulled(queue, verdicts).await
    }

    /// The secret under which receipts are sealed. It is drawn once for each store.
    #[must_use]
    pub fn receipt_key(&self) -> [u8; 32] {
        self.store.receipt_key()
    }

    /// What a pull consumer is given as the proof of its lease.
    #[must_use]
    pub fn receipt(&self, queue: &QueueName, received: &Received) -> String {
        Receipt::of(received).issue(&self.receipt_key(), queue)
    }

    /// The proof of a lease of that queue, as it was given out by this store.
    ///
    /// # Errors
    /// When it was not, or not so.
    pub fn read_receipt(&self, queue: &QueueName, text: &str) -> Result<Receipt, InvalidReceipt> {
        Receipt::read(&self.receipt_key(), queue, text)
    }
}
