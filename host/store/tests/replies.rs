//! Requests, and the replies that somebody waits for.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::time::Duration;

use gristmill_queue::policy::{OnExpiry, OnFull};
use gristmill_queue::{Outcome, limits};
use gristmill_store::{Leased, SendError};
use stage::{Host, done, settle};

fn host() -> Host {
    Host::with_policy(&["work", limits::REPLIES], |queue, policy| {
        if queue == limits::REPLIES {
            policy.default_ttl = Some(Duration::from_secs(3600));
            policy.on_expiry = OnExpiry::Drop;
            policy.on_full = OnFull::DropOldest;
            policy.max_messages = Some(2);
        }
    })
    .without_handler(limits::REPLIES)
}

/// Ends a request with a reply.
fn reply(host: &Host, request: &Leased, body: &str) {
    let envelope = &request.message.envelope;
    let to = envelope.reply_to.as_ref().unwrap();
    let correlation_id = envelope.correlation_id.clone();
    host.send_with(to.as_str(), body, |message| {
        message.envelope.correlation_id = correlation_id;
    })
    .unwrap();
    host.settle(done(request));
}

#[test]
fn a_reply_is_handed_to_who_waits_and_to_nobody_else() {
    let host = host();
    let requested = host.request("work", |_| ()).unwrap();
    let id = requested.correlation_id;
    assert_eq!(id, requested.accepted.id.to_string());
    let request = host.delivered("work").remove(0);
    assert_eq!(request.message.envelope.correlation_id.as_ref(), Some(&id));
    assert!(host.reply(&id).is_none());
    let handed = host.reply_after(&id, |host| {
        host.send(limits::REPLIES, "of nobody").unwrap();
        reply(host, &request, "here");
    });
    assert_eq!(&handed.body[..], b"here");
    assert!(host.reply(&id).is_none(), "it is handed out once");
    assert_eq!(host.depths(limits::REPLIES).ready, 1);
}

#[test]
fn a_reply_waits_for_who_asks_also_over_restarts_until_it_expires() {
    let mut host = host();
    let mut ids = Vec::new();
    for body in ["first", "second"] {
        ids.push(host.request("work", |_| ()).unwrap().correlation_id);
        let request = host.delivered("work").remove(0);
        reply(&host, &request, body);
    }
    host = host.crash().without_handler(limits::REPLIES);
    assert_eq!(&host.reply(&ids[0]).unwrap().body[..], b"first");
    host = host.reopen().without_handler(limits::REPLIES);
    assert!(host.reply(&ids[0]).is_none());
    host.pass(Duration::from_secs(3600));
    assert!(host.reply(&ids[1]).is_none());
    assert_eq!(host.depths(limits::REPLIES).dead, 0);
}

#[test]
fn who_waits_for_a_reply_is_told_that_the_request_died() {
    let host = host();
    let id = host.request("work", |_| ()).unwrap().correlation_id;
    let request = host.delivered("work").remove(0);
    let handed = host.reply_after(&id, |host| {
        let error = "no such article".to_owned();
        host.settle(settle(&request, Outcome::Rejected { error }));
    });
    let told = |name| handed.envelope.attribute(name);
    assert_eq!(told("gristmill-died"), Some("rejected"));
    assert_eq!(told("gristmill-died-in"), Some("work"));
    assert_eq!(&handed.body[..], b"no such article");
    assert_eq!(handed.envelope.causation_id, Some(request.message.id));
}

#[test]
fn a_request_that_is_repeated_waits_for_the_same_reply() {
    let host = host();
    let once = || {
        host.request("work", |outgoing| {
            outgoing.message.dedup_id = Some("once".into())
        })
        .unwrap()
    };
    let (first, again) = (once(), once());
    assert!(again.accepted.duplicate);
    assert_eq!(again.correlation_id, first.correlation_id);
    let own = host.request("work", |outgoing| {
        outgoing.message.envelope.correlation_id = Some("my own".into());
    });
    assert_eq!(own.unwrap().correlation_id, "my own");
}

#[test]
fn replies_that_nobody_fetches_keep_no_handler_from_replying() {
    let host = host();
    let ids: Vec<String> = (0..3)
        .map(|n| {
            let id = host.request("work", |_| ()).unwrap().correlation_id;
            let request = host.delivered("work").remove(0);
            reply(&host, &request, &n.to_string());
            id
        })
        .collect();
    assert!(host.reply(&ids[0]).is_none(), "the oldest was dropped");
    assert_eq!(&host.reply(&ids[2]).unwrap().body[..], b"2");
}

#[test]
fn a_request_goes_to_a_queue() {
    let host = host();
    let refused = host.request("nowhere", |_| ());
    assert!(matches!(refused, Err(SendError::UnknownQueue(_))));
}
