use gristmill_queue::QueueName;
use serde_json::{Value, json};

use super::{Stage, in_form};
use crate::config::SqsLimits;

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    let url = stage.create("orders", json!({})).await;
    let sent = stage
        .get(
            "SendMessage",
            json!({
                "QueueUrl": url, "MessageBody": "hello",
                "MessageAttributes": { "n": { "DataType": "Number", "StringValue": "7" } },
            }),
        )
        .await;
    assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    let got = stage.get("ReceiveMessage", json!({
        "QueueUrl": url, "AttributeNames": ["ApproximateReceiveCount"], "MessageSystemAttributeNames": ["SentTimestamp"],
        "MessageAttributeNames": ["All"],
    })).await;
    let message = &got["Messages"][0];
    assert_eq!(
        (&message["MessageId"], &message["Body"]),
        (&sent["MessageId"], &json!("hello"))
    );
    assert_eq!(message["Attributes"]["ApproximateReceiveCount"], "1");
    assert!(message["Attributes"]["SentTimestamp"].is_string());
    assert_eq!(
        message["MD5OfMessageAttributes"],
        sent["MD5OfMessageAttributes"]
    );
    assert_eq!(
        stage
            .get("ReceiveMessage", json!({ "QueueUrl": url }))
            .await,
        json!({})
    );
    let delete = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
    let reply = stage.ask("DeleteMessage", delete.clone()).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    stage.get("DeleteMessage", delete).await;
    stage.end().await;
}

#[tokio::test]
async fn a_queue_of_the_file_is_there_and_stays_as_it_is() {
    let stage = Stage::new(SqsLimits::Strict).await;
    // Frameworks call this at their start, with attributes of their own.
    let url = stage
        .create("file", json!({ "VisibilityTimeout": "1800" }))
        .await;
    let told = stage
        .get(
            "GetQueueAttributes",
            json!({ "QueueUrl": url, "AttributeNames": ["All"] }),
        )
        .await;
    assert_eq!(told["Attributes"]["VisibilityTimeout"], "30");
    assert_eq!(told["Attributes"]["MaximumMessageSize"], "1048576");
    stage
        .get(
            "SendMessage",
            json!({ "QueueUrl": url, "MessageBody": "x" }),
        )
        .await;
    let list = stage.get("ListQueues", json!({})).await;
    assert_eq!(list, json!({ "QueueUrls": [url] }));
    stage.end().await;
}

#[tokio::test]
async fn what_is_native_is_seen_as_sqs_can_say_it() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    let url = stage.create("orders", json!({})).await;
    for body in [&b"\xff\x00"[..], b"nul \0", b"text"] {
        let mut message =
            gristmill_queue::NewMessage::with_body(bytes::Bytes::copy_from_slice(body));
        message.envelope.attributes = vec![
            ("plain".into(), "x".into()),
            ("no name of SQS".into(), "y".into()),
        ];
        stage
            .queues
            .send(QueueName::new("orders").unwrap(), message)
            .await
            .unwrap();
    }
    let got = stage
        .get(
            "ReceiveMessage",
            json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"] }),
        )
        .await;
    let messages = got["Messages"].as_array().unwrap();
    let bodies: Vec<&str> = messages
        .iter()
        .map(|one| one["Body"].as_str().unwrap())
        .collect();
    assert_eq!(bodies, ["/wA=", "bnVsIAA=", "text"]);
    assert_eq!(
        messages[0]["MessageAttributes"],
        json!({ "plain": { "DataType": "String", "StringValue": "x" } })
    );
    stage.end().await;
}

#[tokio::test]
async fn a_definition_and_attributes_are_two_views_of_one_queue() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    let dead = stage.create("dead", json!({})).await;
    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": "3" });
    let url = stage.create("orders", json!({
        "VisibilityTimeout": "7", "DelaySeconds": "2", "MessageRetentionPeriod": "60",
        "RedrivePolicy": policy.to_string(), "KmsMasterKeyId": "k", "KmsDataKeyReusePeriodSeconds": "300",
    })).await;
    let made = stage
        .queues
        .made(&QueueName::new("orders").unwrap())
        .unwrap();
    assert_eq!(made.definition["delay"], "2s");
    assert_eq!(made.definition["ttl"], "60s");
    assert_eq!(
        (
            &made.definition["max_attempts"],
            &made.definition["dead_letter"]
        ),
        (&json!(3), &json!("dead"))
    );
    let told = stage
        .get(
            "GetQueueAttributes",
            json!({ "QueueUrl": url, "AttributeNames": ["All"] }),
        )
        .await;
    let told = &told["Attributes"];
    assert_eq!(
        (&told["VisibilityTimeout"], &told["SqsManagedSseEnabled"]),
        (&json!("7"), &json!("false"))
    );
    assert_eq!(told.get("KmsDataKeyReusePeriodSeconds"), None);
    let read: Value = serde_json::from_str(told["RedrivePolicy"].as_str().unwrap()).unwrap();
    assert_eq!(read["maxReceiveCount"], 3);
    let sources = stage
        .get("ListDeadLetterSourceQueues", json!({ "QueueUrl": dead }))
        .await;
    assert_eq!(sources["queueUrls"], json!([url]));
    // The same again is the same queue, however it is written.
    stage
        .create(
            "orders",
            json!({ "VisibilityTimeout": 7, "RedrivePolicy": policy.to_string() }),
        )
        .await;
    stage
        .get(
            "SetQueueAttributes",
            json!({ "QueueUrl": url, "Attributes": { "RedrivePolicy": "" } }),
        )
        .await;
    let made = stage
        .queues
        .made(&QueueName::new("orders").unwrap())
        .unwrap();
    assert_eq!(made.definition["dead_letter"], Value::Null);
    stage.end().await;
}

#[tokio::test]
async fn region_and_host_are_echoed() {
    let stage = Stage::new(SqsLimits::Relaxed).await;
    stage.create("orders", json!({})).await;
    let mut asked = in_form("/", "Action=GetQueueUrl&QueueName=orders");
    asked.host = Some("queue.example:80".into());
    asked.tls = true;
    let reply = stage.put(&asked).await;
    assert!(
        reply
            .body
            .contains("https://queue.example:80/000000000000/orders"),
        "{}",
        reply.body
    );
    let mut asked = in_form(
        "/000000000000/orders",
        "Action=GetQueueAttributes&AttributeName=QueueArn",
    );
    asked.region = Some("eu-west-3".into());
    let reply = stage.put(&asked).await;
    assert!(
        reply
            .body
            .contains("arn:aws:sqs:eu-west-3:000000000000:orders"),
        "{}",
        reply.body
    );
    stage.end().await;
}
