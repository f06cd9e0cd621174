//! Halted groups: listed and resumed over the socket.

use std::sync::Mutex;

use gristmill_queue::Outcome;
use gristmill_queue::policy::OnGroupFailure;
use gristmill_store::{Leased, Sink};
use tokio::runtime::Handle;

use super::*;
use crate::api::ResumeOrder;

/// Rejects what it is told to, and acknowledges the rest.
struct Picky {
    queues: Queues,
    runtime: Handle,
    rejects: &'static str,
    handled: Mutex<Vec<Bytes>>,
}

impl Sink for Picky {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        for leased in leased {
            let body = leased.message.body.clone();
            let outcome = if body == self.rejects.as_bytes() {
                Outcome::Rejected {
                    error: "no such customer".into(),
                }
            } else {
                Outcome::Done
            };
            self.handled.lock().unwrap().push(body);
            self.runtime
                .block_on(self.queues.settle(ended(&leased, outcome)));
        }
    }
}

#[tokio::test]
async fn halted_groups_are_listed_in_pages_and_resumed_by_name_or_together() {
    let stage = Stage::new().await;
    let halts = QueuePolicy {
        on_group_failure: OnGroupFailure::Halt,
        ..QueuePolicy::default()
    };
    let declared = Declaration {
        name: name("orders"),
        policy: halts,
    };
    stage
        .queues
        .declare(vec![declared], Vec::new())
        .await
        .unwrap();
    let picky = Arc::new(Picky {
        queues: stage.queues.clone(),
        runtime: Handle::current(),
        rejects: "bad",
        handled: Mutex::default(),
    });
    let sink = Arc::clone(&picky) as Arc<dyn Sink>;
    stage.queues.attach(name("orders"), 10, sink);
    for group in ["customer 1", "customer 2"] {
        let messages = ["bad", "good"].map(|body| {
            let mut message = NewMessage::with_body(body);
            message.envelope.group = Some(group.to_owned());
            message
        });
        stage
            .client
            .send_all(&name("orders"), messages.into())
            .await
            .unwrap();
    }
    let halted = async || {
        let view = &stage.client.queues().await.unwrap()[0];
        assert_eq!(view.name, "orders");
        view.halted_groups
    };
    while halted().await < 2 {
        tokio::task::yield_now().await;
    }
    let (client, orders) = (&stage.client, &name("orders"));
    let first = client.halted_groups(orders, None, 1).await.unwrap();
    let second = client
        .halted_groups(orders, first.next.as_deref(), 1)
        .await
        .unwrap();
    let mut names: Vec<_> = [&first, &second]
        .into_iter()
        .flat_map(|page| &page.items)
        .map(|item| {
            assert_eq!(item.reason.as_deref(), Some("rejected"));
            assert_eq!(item.waiting, 1);
            item.group.as_deref().unwrap()
        })
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["customer 1", "customer 2"]);

    let order = |group: Option<&str>| ResumeOrder {
        group: group.map(str::to_owned),
        all: group.is_none(),
    };
    let nothing = ResumeOrder::default();
    let refused = client.resume_groups(orders, &nothing).await.unwrap_err();
    assert_eq!(refused.code, Code::BadRequest);
    let one = order(Some("customer 1"));
    assert_eq!(client.resume_groups(orders, &one).await.unwrap(), 1);
    assert_eq!(client.resume_groups(orders, &one).await.unwrap(), 0);
    assert_eq!(client.resume_groups(orders, &order(None)).await.unwrap(), 1);
    assert_eq!(halted().await, 0);
    let unknown = client.halted_groups(&name("else"), None, 1).await;
    assert_eq!(unknown.unwrap_err().code, Code::QueueNotFound);
    while picky.handled.lock().unwrap().len() < 4 {
        tokio::task::yield_now().await;
    }
    stage.end().await;
}
