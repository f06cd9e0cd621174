use serde_json::{Value, json};

use super::Stage;
use crate::config::SqsLimits;

const CODE: &str = "AWS.SimpleQueueService.";

/// One row for each error that can be had without messages: what is asked, and shape, code and words.
#[tokio::test]
async fn errors_have_the_names_that_clients_know() {
    let stage = Stage::new(SqsLimits::Strict).await;
    let url = stage.create("orders", json!({})).await;
    let fifo = stage
        .create("orders.fifo", json!({ "FifoQueue": "true" }))
        .await;
    let entry = json!({ "Id": "a", "MessageBody": "x" });
    let eleven: Vec<Value> = (0..11)
        .map(|i| json!({ "Id": i.to_string(), "MessageBody": "x" }))
        .collect();
    let table: Vec<(&str, Value, &str, &str, &str)> = vec![
        (
            "Fly",
            json!({}),
            "InvalidAction",
            "InvalidAction",
            "The action Fly is not valid",
        ),
        (
            "GetQueueUrl",
            json!({ "QueueName": "none" }),
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "does not exist.",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": "http://whatever-incorrect-queue-address", "MessageBody": "x" }),
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "does not exist.",
        ),
        (
            "SendMessage",
            json!({ "MessageBody": "x" }),
            "MissingRequiredParameterException",
            "MissingParameter",
            "parameter QueueUrl.",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": url }),
            "MissingRequiredParameterException",
            "MissingParameter",
            "parameter MessageBody.",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": url, "MessageBody": 5 }),
            "SerializationException",
            "MalformedInput",
            "must be a string",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": url, "MessageBody": "\u{0}" }),
            "InvalidMessageContents",
            "InvalidMessageContents",
            "Invalid characters",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": url, "MessageBody": "x", "DelaySeconds": -1 }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "DelaySeconds must be >= 0 and <= 900.",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": url, "MessageBody": "x", "DelaySeconds": 1e300 }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "whole number",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": fifo, "MessageBody": "x" }),
            "MissingRequiredParameterException",
            "MissingParameter",
            "MessageGroupId",
        ),
        (
            "SendMessage",
            json!({ "QueueUrl": url, "MessageBody": "x", "MessageDeduplicationId": "y" }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "not valid for this queue type",
        ),
        (
            "SendMessageBatch",
            json!({ "QueueUrl": url, "Entries": [] }),
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "SendMessageBatchRequestEntry",
        ),
        (
            "SendMessageBatch",
            json!({ "QueueUrl": url, "Entries": eleven }),
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "You have sent 11.",
        ),
        (
            "SendMessageBatch",
            json!({ "QueueUrl": url, "Entries": [entry, entry] }),
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            "Id a repeated.",
        ),
        (
            "SendMessageBatch",
            json!({ "QueueUrl": url, "Entries": [{ "Id": "a!", "MessageBody": "x" }] }),
            "InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
            "alphanumeric",
        ),
        (
            "SendMessageBatch",
            json!({ "QueueUrl": fifo, "Entries": [entry] }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "MessageGroupId",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "orders", "Attributes": { "DelaySeconds": "1" } }),
            "QueueNameExists",
            "QueueAlreadyExists",
            "attribute DelaySeconds",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "x.fifo" }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "alphanumeric",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "x", "Attributes": { "FifoQueue": "true" } }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "end with .fifo",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "x", "Attributes": { "FifoQueue": "false" } }),
            "InvalidAttributeName",
            "InvalidAttributeName",
            "Unknown Attribute FifoQueue.",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "gristmill-x" }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "host's own",
        ),
        (
            "SetQueueAttributes",
            json!({ "QueueUrl": url, "Attributes": { "FifoQueue": "true" } }),
            "InvalidAttributeValue",
            "InvalidAttributeValue",
            "Modifying queue type is not supported.",
        ),
        (
            "SetQueueAttributes",
            json!({ "QueueUrl": url, "Attributes": { "DeduplicationScope": "queue" } }),
            "InvalidAttributeName",
            "InvalidAttributeName",
            "You can specify the DeduplicationScope only when FifoQueue is set to true.",
        ),
        (
            "SetQueueAttributes",
            json!({ "QueueUrl": url, "Attributes": { "MessageRetentionPeriod": "59" } }),
            "InvalidAttributeValue",
            "InvalidAttributeValue",
            "MessageRetentionPeriod.",
        ),
        (
            "SetQueueAttributes",
            json!({ "QueueUrl": url, "Attributes": { "Policy": "no JSON" } }),
            "InvalidAttributeValue",
            "InvalidAttributeValue",
            "Policy.",
        ),
        (
            "DeleteMessage",
            json!({ "QueueUrl": url, "ReceiptHandle": "garbage" }),
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            "The input receipt handle \"garbage\" is not a valid receipt handle.",
        ),
        (
            "ReceiveMessage",
            json!({ "QueueUrl": url, "MaxNumberOfMessages": 11 }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
        ),
        (
            "ReceiveMessage",
            json!({ "QueueUrl": url, "WaitTimeSeconds": 21 }),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            "Must be >= 0 and <= 20, if provided.",
        ),
        (
            "CancelMessageMoveTask",
            json!({ "TaskHandle": "eyJ0YXNrSWQiOiJ4Iiwic291cmNlQXJuIjoiYXJuOmF3czpzcXM6cjowOm9yZGVycyJ9" }),
            "ResourceNotFoundException",
            "ResourceNotFoundException",
            "Task does not exist.",
        ),
        (
            "AddPermission",
            json!({ "QueueUrl": url, "Label": "l", "AWSAccountIds": ["1"], "Actions": ["a", "b", "c", "d", "e", "f", "g", "h"] }),
            "OverLimit",
            "OverLimit",
            "8 Actions were found, maximum allowed is 7.",
        ),
        (
            "TagQueue",
            json!({ "QueueUrl": "http://x/0/file", "Tags": { "a": "b" } }),
            "UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation",
            "declared in the configuration",
        ),
        (
            "DeleteQueue",
            json!({ "QueueUrl": "file" }),
            "UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation",
            "declared in the configuration",
        ),
    ];
    for (action, members, shape, code, words) in table {
        let (is_shape, is_code, message) = stage.refused(action, members.clone()).await;
        let told = (is_shape.rsplit('#').next(), is_code.as_str());
        assert_eq!(
            told,
            (Some(shape), format!("{code};Sender").as_str()),
            "{action} {members}: {message}"
        );
        assert!(message.contains(words), "{action} {members}: {message}");
    }
    stage.end().await;
}

#[tokio::test]
async fn waiting_periods_are_kept_if_they_are_asked_for() {
    for (limits, kept) in [(SqsLimits::Strict, true), (SqsLimits::Relaxed, false)] {
        let stage = Stage::new(limits).await;
        let url = stage.create("orders", json!({})).await;
        let queue = json!({ "QueueUrl": url });
        stage.get("PurgeQueue", queue.clone()).await;
        let again = stage.ask("PurgeQueue", queue.clone()).await;
        assert_eq!(again.status == 403, kept, "{again:?}");
        stage.get("DeleteQueue", queue).await;
        let again = stage
            .ask("CreateQueue", json!({ "QueueName": "orders" }))
            .await;
        assert_eq!(again.status == 400, kept, "{again:?}");
        if kept {
            let deleted = format!("{CODE}QueueDeletedRecently;Sender");
            assert_eq!(again.query_error, Some(deleted));
        }
        stage.end().await;
    }
}
