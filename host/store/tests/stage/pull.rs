//! Pull consumers.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gristmill_queue::{Fence, QueueName};
use gristmill_store::{GroupOrder, PullError, Pulled, Receive, ReceiveError, Received, Store};

use super::Host;

type Answer = Result<Vec<Received>, ReceiveError>;

/// A receive that is under way, and is polled by hand.
pub struct Receiving(Pin<Box<dyn Future<Output = Answer>>>);

impl Receiving {
    /// The answer, if it is there.
    pub fn look(&mut self) -> Option<Answer> {
        let mut context = Context::from_waker(Waker::noop());
        match self.0.as_mut().poll(&mut context) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// The bodies that it was given, if it has its answer.
    pub fn bodies(&mut self) -> Option<Vec<String>> {
        self.look().map(|answer| bodies(&answer.unwrap()))
    }
}

/// At most so many messages, without a wait.
pub fn up_to(queue: &str, max: u32) -> Receive {
    Receive {
        queue: QueueName::new(queue).unwrap(),
        max,
        wait: Duration::ZERO,
        visibility: None,
        order: GroupOrder::One,
    }
}

pub fn bodies(received: &[Received]) -> Vec<String> {
    let text = |one: &Received| String::from_utf8(one.message.body.to_vec()).unwrap();
    received.iter().map(text).collect()
}

impl Host {
    pub fn receive(&self, queue: &str, max: u32) -> Vec<Received> {
        self.try_receive(up_to(queue, max)).unwrap()
    }

    pub fn receive_one(&self, queue: &str) -> Received {
        self.receive(queue, 1).pop().expect("a message is there")
    }

    pub fn try_receive(&self, receive: Receive) -> Answer {
        self.runtime.block_on(self.store.receive(receive))
    }

    /// Begins to receive: when this returns, the writer knows.
    pub fn receiving(&self, receive: Receive) -> Receiving {
        let receiving = self.receiving_unseen(receive);
        self.tick();
        receiving
    }

    /// Begins to receive.
    pub fn receiving_unseen(&self, receive: Receive) -> Receiving {
        let store = self.store.clone();
        let mut receiving = Receiving(Box::pin(async move { store.receive(receive).await }));
        assert_eq!(receiving.look(), None, "there is nothing yet");
        receiving
    }

    /// Does something with the store.
    pub fn runtime_of<'s, F: Future + 's>(
        &'s self,
        with: impl FnOnce(&'s Store) -> F,
    ) -> F::Output {
        self.runtime.block_on(with(&self.store))
    }

    /// A host on another folder, with the same clocks and queues.
    pub fn at(&self, path: &std::path::Path) -> Self {
        let declared = (self.queues.clone(), self.topics.clone());
        let (folder, clocks) = (std::sync::Arc::clone(&self.folder), self.clocks.clone());
        Self::open(folder, path.to_owned(), clocks, declared)
    }

    pub fn settle_pulled(
        &self,
        queue: &str,
        fence: Fence,
        pulled: Pulled,
    ) -> Result<(), PullError> {
        self.settle_all_pulled(queue, vec![(fence, pulled)])
            .remove(0)
    }

    pub fn settle_all_pulled(
        &self,
        queue: &str,
        verdicts: Vec<(Fence, Pulled)>,
    ) -> Vec<Result<(), PullError>> {
        let queue = QueueName::new(queue).unwrap();
        let settled = self.store.settle_pulled(queue, verdicts);
        let settled = self.runtime.block_on(settled).unwrap();
        // Who waits is answered after who has settled.
        self.tick();
        settled
    }
}
