use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Stage, in_form, in_json};
use crate::config::SqsLimits;
use crate::sqs::wire::Incoming;

const ACTIONS: [&str; 24] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetCallerIdentity",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "RemovePermission",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

#[tokio::test]
async fn what_is_no_request_is_refused_and_changes_nothing() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    let deep = "[".repeat(100_000);
    let bodies = [
        "",
        "{",
        "[]",
        "5",
        "null",
        "\"x\"",
        "{\"a\":",
        "\u{feff}{}",
        deep.as_str(),
    ];
    for action in ACTIONS {
        for body in bodies {
            let mut incoming = in_json(action, &json!({}));
            incoming.body = body.to_owned().into();
            let reply = stage.put(&incoming).await;
            let harmless = ["GetCallerIdentity", "ListQueues"].contains(&action);
            assert!(
                reply.status == 200 && harmless || (400..500).contains(&reply.status),
                "{action} {body:.20}: {reply:?}"
            );
        }
    }
    let names = [
        "",
        "../x",
        "a/b",
        "a\0",
        "a\u{202e}b",
        &"x".repeat(81),
        "a b",
        ".fifo",
        "ä",
        "a.fifo.fifo",
    ];
    for name in names {
        let reply = stage.ask("CreateQueue", json!({ "QueueName": name })).await;
        assert_eq!(reply.status, 400, "{name:?}");
        let fifo = json!({ "QueueName": name, "Attributes": { "FifoQueue": "true" } });
        assert_eq!(stage.ask("CreateQueue", fifo).await.status, 400, "{name:?}");
    }
    for number in [
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!("99999999999999999999"),
        json!(true),
        json!([1]),
        json!(""),
    ] {
        let attributes = json!({ "QueueName": "x", "Attributes": { "VisibilityTimeout": number } });
        assert_eq!(
            stage.ask("CreateQueue", attributes).await.status,
            400,
            "{number}"
        );
        let receive = json!({ "QueueUrl": "file", "MaxNumberOfMessages": number });
        assert_eq!(
            stage.ask("ReceiveMessage", receive).await.status,
            400,
            "{number}"
        );
    }
    let many: String = (0..3000).map(|i| format!("&Tag.{i}.Key=k")).collect();
    let reply = stage
        .put(&in_form(
            "/",
            &format!("Action=CreateQueue&QueueName=x{many}"),
        ))
        .await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        stage.get("ListQueues", json!({})).await["QueueUrls"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    stage.end().await;
}

/// Any JSON, shallow enough to be common.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("file")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[A-Za-z.1]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const MEMBERS: [&str; 20] = [
    "QueueUrl",
    "QueueName",
    "Attributes",
    "AttributeNames",
    "tags",
    "Tags",
    "TagKeys",
    "MessageBody",
    "MessageAttributes",
    "MessageSystemAttributes",
    "DelaySeconds",
    "MessageGroupId",
    "Entries",
    "ReceiptHandle",
    "VisibilityTimeout",
    "MaxNumberOfMessages",
    "SourceArn",
    "TaskHandle",
    "Label",
    "NextToken",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_is_sent_is_an_error_of_the_host(
        requests in prop::collection::vec(
            (0..ACTIONS.len(), prop::collection::btree_map(0..MEMBERS.len(), any_json(), 0..6), any::<bool>(), ".{0,40}"),
            1..20,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new(SqsLimits::Relaxed).await;
            for (action, members, whole, form) in requests {
                let mut body = serde_json::Map::new();
                if whole {
                    body.insert("QueueUrl".into(), "http://localhost/0/file".into());
                }
                for (at, value) in members {
                    body.insert(MEMBERS[at].into(), value);
                }
                let asked = in_json(ACTIONS[action], &Value::Object(body));
                let reply = stage.put(&asked).await;
                assert!(reply.status < 500, "{asked:?}: {reply:?}");
                let asked = Incoming {
                    query: format!("Action={}&{form}", ACTIONS[action]),
                    ..in_form("/0/file", &form)
                };
                let reply = stage.put(&asked).await;
                assert!(reply.status < 500, "{asked:?}: {reply:?}");
            }
            stage.end().await;
        });
    }
}
