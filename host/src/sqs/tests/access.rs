//! Who may do what: every action, with every scope, with a queue that is theirs and one that is not.

use serde_json::{Value, json};

use super::{Stage, in_form};
use crate::auth::{Action, Identity, Queues, Scopes};
use crate::config::SqsLimits;

const MINE: &str = "http://x/000000000000/mine";
const OTHER: &str = "http://x/000000000000/other";

fn somebody(actions: &[Action], queues: &str) -> Identity {
    Identity {
        who: "token test (x)".into(),
        scopes: Scopes::of(actions),
        queues: queues.parse::<Queues>().unwrap(),
    }
}

/// What is needed for an action with one queue, and its other parameters.
fn actions() -> Vec<(&'static str, Action, Value)> {
    use Action::{Manage, Read, Receive, Send};
    let batch = json!({ "Entries": [{ "Id": "a", "ReceiptHandle": "x" }] });
    vec![
        ("SendMessage", Send, json!({ "MessageBody": "x" })),
        (
            "SendMessageBatch",
            Send,
            json!({ "Entries": [{ "Id": "a", "MessageBody": "x" }] }),
        ),
        ("ReceiveMessage", Receive, json!({})),
        ("DeleteMessage", Receive, json!({ "ReceiptHandle": "x" })),
        ("DeleteMessageBatch", Receive, batch.clone()),
        (
            "ChangeMessageVisibility",
            Receive,
            json!({ "ReceiptHandle": "x", "VisibilityTimeout": 0 }),
        ),
        ("ChangeMessageVisibilityBatch", Receive, batch),
        ("GetQueueAttributes", Read, json!({})),
        ("ListQueueTags", Read, json!({})),
        ("ListDeadLetterSourceQueues", Read, json!({})),
        (
            "AddPermission",
            Manage,
            json!({ "Label": "l", "AWSAccountIds": ["1"], "Actions": ["*"] }),
        ),
        ("RemovePermission", Manage, json!({ "Label": "l" })),
        ("SetQueueAttributes", Manage, json!({ "Attributes": {} })),
        ("TagQueue", Manage, json!({ "Tags": { "a": "b" } })),
        ("UntagQueue", Manage, json!({ "TagKeys": ["a"] })),
        ("PurgeQueue", Manage, json!({})),
        ("DeleteQueue", Manage, json!({})),
    ]
}

fn about(members: &Value, url: &str) -> Value {
    let mut members = members.clone();
    members["QueueUrl"] = url.into();
    members
}

async fn denies(stage: &Stage, caller: &Identity, action: &str, members: Value) -> bool {
    let reply = stage.ask_as(caller, action, members).await;
    reply.status == 403 && reply.body.contains("#AccessDeniedException")
}

#[tokio::test]
async fn every_action_wants_its_scope_and_its_queue() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    stage.create("mine", json!({})).await;
    stage.create("other", json!({})).await;
    for (action, needed, members) in actions() {
        for scope in Action::ALL {
            let caller = somebody(&[scope], "mine");
            let case = format!("{action} with {scope}");
            let refused = denies(&stage, &caller, action, about(&members, MINE)).await;
            assert_eq!(refused, scope != needed, "{case}");
            assert!(
                denies(&stage, &caller, action, about(&members, OTHER)).await,
                "{case}"
            );
        }
    }
    stage.end().await;
}

#[tokio::test]
async fn what_concerns_several_queues_wants_all_of_them() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    stage.create("mine", json!({})).await;
    let arn = "arn:aws:sqs:us-east-1:000000000000:mine";
    for action in [
        "StartMessageMoveTask",
        "CancelMessageMoveTask",
        "ListMessageMoveTasks",
        "NoSuchAction",
    ] {
        let members = json!({ "SourceArn": arn, "TaskHandle": "x" });
        let some = somebody(&Action::ALL, "mine");
        assert!(
            denies(&stage, &some, action, members.clone()).await,
            "{action}"
        );
        let all = somebody(&Action::ALL, "*");
        assert!(!denies(&stage, &all, action, members).await, "{action}");
    }
    stage.end().await;
}

#[tokio::test]
async fn a_queue_of_others_is_not_seen() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    stage.create("mine", json!({})).await;
    stage.create("other", json!({})).await;
    let caller = somebody(&[Action::Send], "mine");
    let listed = stage.ask_as(&caller, "ListQueues", json!({})).await;
    assert!(listed.body.contains("/mine") && !listed.body.contains("/other"));
    let url = |name: &str| json!({ "QueueName": name });
    let found = stage.ask_as(&caller, "GetQueueUrl", url("mine")).await;
    assert_eq!(found.status, 200, "{found:?}");
    let hidden = stage.ask_as(&caller, "GetQueueUrl", url("other")).await;
    let absent = stage.ask_as(&caller, "GetQueueUrl", url("absent")).await;
    assert_eq!((hidden.status, hidden.body), (absent.status, absent.body));
    stage.end().await;
}

/// The queue that is asked about has to be the one that is acted on, whatever else is said.
#[tokio::test]
async fn no_other_member_stands_in_for_the_queue() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    stage.create("mine", json!({})).await;
    stage.create("other", json!({})).await;
    let caller = somebody(&Action::ALL, "mine");
    for stranger in [
        "QueueName=mine",
        "QueueUrl=&QueueName=mine",
        "QueueUrl=%2F&QueueName=mine",
    ] {
        let form = format!("Action=SendMessage&MessageBody=x&{stranger}");
        let at_other = in_form("/000000000000/other", &form);
        let reply = stage.sqs.answer(&at_other, &caller).await;
        assert_ne!(reply.status, 200, "{stranger}: {reply:?}");
    }
    let sent = json!({ "QueueUrl": OTHER, "QueueName": "mine", "MessageBody": "x" });
    assert!(denies(&stage, &caller, "SendMessage", sent).await);
    let made = json!({ "QueueName": "new", "QueueUrl": MINE });
    assert!(denies(&stage, &caller, "CreateQueue", made).await);
    stage.end().await;
}

#[tokio::test]
async fn dead_letters_go_only_where_the_caller_may_send() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    stage.create("mine", json!({})).await;
    stage.create("other", json!({})).await;
    let policy = |target: &str| {
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:{target}");
        let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 3 }).to_string();
        json!({ "QueueUrl": MINE, "Attributes": { "RedrivePolicy": policy } })
    };
    let caller = somebody(&Action::ALL, "mine,dead");
    let action = "SetQueueAttributes";
    assert!(denies(&stage, &caller, action, policy("other")).await);
    stage.create("dead", json!({})).await;
    let allowed = stage.ask_as(&caller, action, policy("dead")).await;
    assert_eq!(allowed.status, 200, "{allowed:?}");
    stage.end().await;
}
