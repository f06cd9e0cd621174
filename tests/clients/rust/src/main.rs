//! What programs do with the AWS SDK for Rust, against the endpoint in `SQS_ENDPOINT`.
//!
//! Each function is one story; the first that fails ends the run.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Config, Credentials, Region};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let endpoint = std::env::var("SQS_ENDPOINT")?;
    let config = Config::builder()
        .behavior_version_latest()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "x", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let sqs = Client::from_conf(config);
    a_message_goes_through(&sqs).await?;
    batches_do_part_of_what_is_asked(&sqs).await?;
    what_fails_three_times_is_a_dead_letter(&sqs).await?;
    a_group_keeps_its_order(&sqs).await?;
    what_is_not_there_has_a_type(&sqs).await?;
    println!("all is well");
    Ok(())
}

async fn create(
    sqs: &Client,
    name: &str,
    attributes: &[(QueueAttributeName, &str)],
) -> Result<String, Box<dyn std::error::Error>> {
    let attributes: HashMap<_, _> = attributes
        .iter()
        .map(|(name, value)| (name.clone(), (*value).to_owned()))
        .collect();
    let made = sqs
        .create_queue()
        .queue_name(name)
        .set_attributes(Some(attributes))
        .send()
        .await?;
    Ok(made.queue_url.ok_or("no URL")?)
}

async fn receive(
    sqs: &Client,
    url: &str,
    most: i32,
) -> Result<Vec<Message>, Box<dyn std::error::Error>> {
    let got = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(most)
        .wait_time_seconds(1)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .send()
        .await?;
    Ok(got.messages.unwrap_or_default())
}

fn handle(message: &Message) -> &str {
    message.receipt_handle().expect("a receipt handle")
}

async fn a_message_goes_through(sqs: &Client) -> Outcome {
    let url = create(sqs, "rust-plain", &[]).await?;
    let blob = MessageAttributeValue::builder()
        .data_type("Binary")
        .binary_value(Blob::new([0u8, 255, 16]))
        .build()?;
    let sent = sqs
        .send_message()
        .queue_url(&url)
        .message_body("grüße <&>")
        .message_attributes("blob", blob)
        .send()
        .await?;
    let got = receive(sqs, &url, 10).await?;
    let [message] = &got[..] else {
        return Err(format!("one message, not {got:?}").into());
    };
    assert_eq!(message.body(), Some("grüße <&>"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    let attributes = message.message_attributes().expect("attributes");
    let blob = attributes["blob"].binary_value().expect("bytes");
    assert_eq!(blob.as_ref(), [0u8, 255, 16]);
    let count = MessageSystemAttributeName::ApproximateReceiveCount;
    assert_eq!(message.attributes().expect("attributes")[&count], "1");
    let visible = sqs.change_message_visibility().queue_url(&url);
    let visible = visible
        .receipt_handle(handle(message))
        .visibility_timeout(0);
    visible.send().await?;
    let again = receive(sqs, &url, 10).await?;
    assert_eq!(again.len(), 1);
    let delete = sqs.delete_message().queue_url(&url);
    delete.receipt_handle(handle(&again[0])).send().await?;
    assert!(receive(sqs, &url, 10).await?.is_empty());
    sqs.delete_queue().queue_url(&url).send().await?;
    Ok(())
}

async fn batches_do_part_of_what_is_asked(sqs: &Client) -> Outcome {
    let url = create(sqs, "rust-batches", &[]).await?;
    let mut send = sqs.send_message_batch().queue_url(&url);
    for number in 0..10 {
        let entry = SendMessageBatchRequestEntry::builder().id(format!("e{number}"));
        // A delay that is too long.
        let entry = entry.delay_seconds(if number == 3 { 901 } else { 0 });
        send = send.entries(entry.message_body(format!("{number}")).build()?);
    }
    let sent = send.send().await?;
    assert_eq!((sent.successful().len(), sent.failed().len()), (9, 1));
    assert_eq!(sent.failed()[0].id(), "e3");
    assert!(sent.failed()[0].sender_fault());
    let mut seen = Vec::new();
    while seen.len() < 9 {
        let got = receive(sqs, &url, 10).await?;
        assert!(!got.is_empty(), "messages are missing: {seen:?}");
        let mut longer = sqs.change_message_visibility_batch().queue_url(&url);
        let mut delete = sqs.delete_message_batch().queue_url(&url);
        for (number, message) in got.iter().enumerate() {
            let entry =
                ChangeMessageVisibilityBatchRequestEntry::builder().id(format!("c{number}"));
            let entry = entry.receipt_handle(handle(message)).visibility_timeout(60);
            longer = longer.entries(entry.build()?);
            let entry = DeleteMessageBatchRequestEntry::builder().id(format!("d{number}"));
            delete = delete.entries(entry.receipt_handle(handle(message)).build()?);
            seen.push(message.body().unwrap_or_default().to_owned());
        }
        assert!(longer.send().await?.failed().is_empty());
        assert!(delete.send().await?.failed().is_empty());
    }
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "4", "5", "6", "7", "8", "9"]);
    Ok(())
}

async fn what_fails_three_times_is_a_dead_letter(sqs: &Client) -> Outcome {
    let dead = create(sqs, "rust-dead", &[]).await?;
    let asked = sqs.get_queue_attributes().queue_url(&dead);
    let asked = asked
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await?;
    let arn = &asked.attributes().expect("attributes")[&QueueAttributeName::QueueArn];
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"3"}}"#);
    let attributes = [
        (QueueAttributeName::RedrivePolicy, policy.as_str()),
        (QueueAttributeName::VisibilityTimeout, "0"),
    ];
    let url = create(sqs, "rust-fails", &attributes).await?;
    let send = sqs.send_message().queue_url(&url);
    let sent = send.message_body("never").send().await?;
    for _ in 0..3 {
        assert_eq!(receive(sqs, &url, 1).await?.len(), 1);
    }
    assert!(receive(sqs, &url, 1).await?.is_empty());
    let letters = receive(sqs, &dead, 1).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].message_id(), sent.message_id());
    let sources = sqs
        .list_dead_letter_source_queues()
        .queue_url(&dead)
        .send()
        .await?;
    assert_eq!(sources.queue_urls(), [url]);
    Ok(())
}

async fn a_group_keeps_its_order(sqs: &Client) -> Outcome {
    let attributes = [
        (QueueAttributeName::FifoQueue, "true"),
        (QueueAttributeName::ContentBasedDeduplication, "true"),
    ];
    let url = create(sqs, "rust-order.fifo", &attributes).await?;
    for body in ["first", "second", "second", "third"] {
        let send = sqs.send_message().queue_url(&url).message_group_id("g");
        let sent = send.message_body(body).send().await?;
        assert!(sent.sequence_number().is_some());
    }
    let got = receive(sqs, &url, 10).await?;
    let bodies: Vec<_> = got.iter().filter_map(|message| message.body()).collect();
    assert_eq!(bodies, ["first", "second", "third"]);
    Ok(())
}

async fn what_is_not_there_has_a_type(sqs: &Client) -> Outcome {
    let asked = sqs.get_queue_url().queue_name("rust-nothing").send().await;
    let error = asked
        .expect_err("there is no such queue")
        .into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    let url = create(sqs, "rust-handles", &[]).await?;
    let delete = sqs
        .delete_message()
        .queue_url(&url)
        .receipt_handle("made up");
    let error = delete
        .send()
        .await
        .expect_err("made up")
        .into_service_error();
    assert!(error.is_receipt_handle_is_invalid(), "{error:?}");
    Ok(())
}
