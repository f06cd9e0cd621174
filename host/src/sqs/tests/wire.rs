use serde_json::json;

use super::{Stage, in_form, in_json};
use crate::config::SqsLimits;
use crate::sqs::error::SqsError;
use crate::sqs::wire::{Incoming, Protocol};
use crate::sqs::xml;

#[test]
fn the_content_type_decides_and_nothing_else() {
    let table = [
        (Some("application/x-amz-json-1.0"), Protocol::Json),
        (
            Some("Application/X-Amz-JSON-1.0; charset=utf-8"),
            Protocol::Json,
        ),
        (Some("application/x-www-form-urlencoded"), Protocol::Query),
        (Some("application/json"), Protocol::Query),
        (None, Protocol::Query),
    ];
    for (kind, protocol) in table {
        let incoming = Incoming {
            content_type: kind.map(str::to_owned),
            // An old client sends this with a form.
            target: Some("AmazonSQSv20121105.CreateQueue".into()),
            ..Incoming::default()
        };
        assert_eq!(incoming.protocol(), protocol, "{kind:?}");
    }
}

#[test]
fn a_form_becomes_what_json_would_have_said() {
    let form = "Action=SendMessageBatch&Version=2012-11-05\
        &SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.2.MessageBody=two\
        &SendMessageBatchRequestEntry.10.Id=c&SendMessageBatchRequestEntry.10.MessageBody=ten+%26\
        &SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=one\
        &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n\
        &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Number\
        &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=7";
    let call = in_form("/000000000000/orders", form).call().unwrap();
    assert_eq!(call.action, "SendMessageBatch");
    assert_eq!(call.queue_in_path.as_deref(), Some("orders"));
    let entries = json!([
        { "Id": "a", "MessageBody": "one",
          "MessageAttributes": { "n": { "DataType": "Number", "StringValue": "7" } } },
        { "Id": "b", "MessageBody": "two" },
        { "Id": "c", "MessageBody": "ten &" },
    ]);
    assert_eq!(call.members["Entries"], entries);

    let form = "Action=CreateQueue&QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5\
        &Tag.1.Key=team&Tag.1.Value=a";
    let call = in_form("/", form).call().unwrap();
    assert_eq!(call.members["Attributes"], json!({ "DelaySeconds": "5" }));
    assert_eq!(call.members["tags"], json!({ "team": "a" }));
    for form in [
        "Action=TagQueue&Tag.1.Key=team&Tag.1.Value=a",
        "Action=TagQueue&Tags.1.Key=team&Tags.1.Value=a",
    ] {
        let call = in_form("/", form).call().unwrap();
        assert_eq!(call.members["Tags"], json!({ "team": "a" }));
    }
    let call = in_form("/", "Action=GetQueueAttributes&AttributeName=All")
        .call()
        .unwrap();
    assert_eq!(call.members["AttributeNames"], json!(["All"]));
    let form = "Action=AddPermission&AWSAccountId.1=1&ActionName.2=b&ActionName.1=a&TagKey.1=k";
    let call = in_form("/", form).call().unwrap();
    assert_eq!(call.members["AWSAccountIds"], json!(["1"]));
    assert_eq!(call.members["Actions"], json!(["a", "b"]));
}

#[test]
fn an_address_may_have_the_parameters_too() {
    let incoming = Incoming {
        get: true,
        path: "/000000000000/orders".into(),
        query: "Action=SendMessage&MessageBody=x%20y".into(),
        ..Incoming::default()
    };
    let call = incoming.call().unwrap();
    assert_eq!(call.members["MessageBody"], "x y");
    let bare = Incoming {
        query: String::new(),
        ..incoming.clone()
    };
    assert_eq!(
        bare.call().unwrap_err().kind.code(),
        "UnknownOperationException"
    );
    let elsewhere = Incoming {
        query: "Action=CreateQueue&QueueName=x".into(),
        ..incoming
    };
    assert_eq!(elsewhere.call().unwrap_err().kind.code(), "InvalidAction");
}

#[test]
fn xml_says_what_json_says() {
    let messages = json!({ "Messages": [{
        "Body": "a & b <c> \"d\"\r\n",
        "Attributes": { "SenderId": "x" },
        "MessageAttributes": { "n": { "DataType": "Number", "StringValue": "7" } },
    }] });
    let written = xml::answer("ReceiveMessage", messages.as_object().unwrap(), "id");
    for part in [
        "<ReceiveMessageResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><ReceiveMessageResult><Message>",
        "<Body>a &amp; b &lt;c&gt; &quot;d&quot;&#xD;\n</Body>",
        "<Attribute><Name>SenderId</Name><Value>x</Value></Attribute>",
        "<MessageAttribute><Name>n</Name><Value><DataType>Number</DataType><StringValue>7</StringValue></Value></MessageAttribute>",
        "<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></ReceiveMessageResponse>",
    ] {
        assert!(written.contains(part), "{part} is not in {written}");
    }
    let empty = serde_json::Map::new();
    assert!(xml::answer("ReceiveMessage", &empty, "i").contains("<ReceiveMessageResult/>"));
    assert!(!xml::answer("DeleteMessage", &empty, "i").contains("Result"));
    let batch =
        json!({ "Successful": [{ "Id": "a" }], "Failed": [{ "Id": "b", "SenderFault": true }] });
    let written = xml::answer("SendMessageBatch", batch.as_object().unwrap(), "i");
    assert!(
        written.contains("<SendMessageBatchResultEntry><Id>a</Id></SendMessageBatchResultEntry>")
    );
    assert!(written.contains(
        "<BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault></BatchResultErrorEntry>"
    ));
    let error = xml::error(&SqsError::missing("<x>"), "i");
    assert!(error.contains("<Error><Type>Sender</Type><Code>MissingParameter</Code><Message>The request must contain the parameter &lt;x&gt;.</Message><Detail/></Error><RequestId>i</RequestId>"));
}

#[tokio::test]
async fn both_protocols_answer_alike() {
    let stage = Stage::new(SqsLimits::Strict).await;
    let url = stage.create("orders", json!({ "DelaySeconds": 3 })).await;
    assert_eq!(url, "http://localhost:9324/000000000000/orders");
    let form = in_form("/", "Action=GetQueueUrl&QueueName=orders");
    let reply = stage.put(&form).await;
    assert_eq!((reply.status, reply.content_type), (200, "text/xml"));
    assert!(
        reply.body.contains(&format!("<QueueUrl>{url}</QueueUrl>")),
        "{}",
        reply.body
    );
    let form = in_form(
        "/000000000000/orders",
        "Action=GetQueueAttributes&AttributeName.1=DelaySeconds",
    );
    let reply = stage.put(&form).await;
    assert!(
        reply
            .body
            .contains("<Attribute><Name>DelaySeconds</Name><Value>3</Value></Attribute>")
    );
    let form = in_form("/000000000000/nowhere", "Action=PurgeQueue");
    let reply = stage.put(&form).await;
    assert_eq!((reply.status, reply.query_error.clone()), (400, None));
    assert!(
        reply
            .body
            .contains("<Code>AWS.SimpleQueueService.NonExistentQueue</Code>")
    );
    assert!(reply.body.contains("for this wsdl version."));
    let reply = stage
        .put(&in_json(
            "PurgeQueue",
            &json!({ "QueueUrl": "http://x/1/nowhere" }),
        ))
        .await;
    assert_eq!(
        reply.query_error.as_deref(),
        Some("AWS.SimpleQueueService.NonExistentQueue;Sender")
    );
    assert_eq!(
        reply.body,
        r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#
    );
    assert_ne!(
        reply.request_id,
        stage.ask("ListQueues", json!({})).await.request_id
    );
    stage.end().await;
}
