//! Large bodies over the socket: in piece by piece, and out again.

use std::io::{Cursor, Read};

use gristmill_queue::MessageId;

use super::*;

/// Beyond what the store keeps with a message, and no whole number of pieces.
const LARGE: usize = 3 * 1024 * 1024 + 77;

fn body() -> Vec<u8> {
    (0..=250).cycle().step_by(31).take(LARGE).collect()
}

async fn read(stage: &Stage, id: MessageId) -> Result<Vec<u8>, Problem> {
    let mut whole = Vec::new();
    let take = |piece: Bytes| {
        whole.extend_from_slice(&piece);
        Ok(())
    };
    stage.client.body(id, take).await?;
    Ok(whole)
}

fn files(stage: &Stage) -> usize {
    std::fs::read_dir(stage.folder.path().join("blobs"))
        .unwrap()
        .count()
}

/// Fails when so much of it was read.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::Error::other("the tape is torn"));
        }
        let read = into.len().min(self.0);
        self.0 -= read;
        Ok(read)
    }
}

#[tokio::test]
async fn a_large_body_goes_in_and_out_piece_by_piece() {
    let stage = Stage::new().await;
    let mut message = NewMessage::default();
    message.envelope.content_type = Some("text/x-tape".to_owned());
    message.envelope.attributes = vec![("CamelCase".to_owned(), "grün 𝄞".to_owned())];
    let source = Box::new(Cursor::new(body()));
    let orders = name("orders");
    let sent = stage.client.send_large(&orders, message, source).await;
    let id = sent.unwrap().id.parse().unwrap();
    assert_eq!(files(&stage), 1);
    assert!(read(&stage, id).await.unwrap() == body());
    let found = stage.client.find(id).await.unwrap();
    assert_eq!((found.size, found.body_omitted), (LARGE, true));
    assert_eq!(
        found.envelope.attributes.0,
        [("CamelCase".to_owned(), "grün 𝄞".to_owned())]
    );
    assert_eq!(found.envelope.content_type.as_deref(), Some("text/x-tape"));
    let peeked = stage.client.peek(&orders, 1).await.unwrap();
    assert_eq!((peeked[0].size, peeked[0].body_omitted), (LARGE, true));

    let small = stage
        .client
        .send_all(&orders, vec![NewMessage::with_body("hi")]);
    let small = small.await.unwrap()[0].id.parse().unwrap();
    assert_eq!(read(&stage, small).await.unwrap(), b"hi");
    stage.client.cancel(id).await.unwrap();
    // Files go right after the answer, and before the next one.
    stage.client.queues().await.unwrap();
    assert_eq!(files(&stage), 0);
    let gone = read(&stage, id).await.unwrap_err();
    assert_eq!(gone.code, Code::MessageNotFound);
    stage.end().await;
}

#[tokio::test]
async fn what_is_refused_or_breaks_off_leaves_nothing_and_the_connection_serves_on() {
    let stage = Stage::new().await;
    let send = async |queue: &str, source: Box<dyn Read + Send>| {
        let message = NewMessage::default();
        let sent = stage.client.send_large(&name(queue), message, source).await;
        // The host may notice a little later that no more will come.
        while files(&stage) > 0 {
            tokio::task::yield_now().await;
        }
        sent.unwrap_err()
    };
    let large = || Box::new(Cursor::new(body()));
    assert_eq!(send("small", large()).await.code, Code::TooLarge);
    assert_eq!(send("nowhere", large()).await.code, Code::QueueNotFound);
    let torn = send("orders", Box::new(Broken(LARGE))).await;
    assert!(
        torn.detail.contains("the tape is torn; nothing was sent"),
        "{torn}"
    );
    assert_eq!(stage.client.peek(&name("orders"), 10).await.unwrap(), []);
    stage.end().await;
}

#[tokio::test]
async fn damage_is_said_if_it_is_at_the_beginning_and_else_breaks_off() {
    let stage = Stage::new().await;
    let source = Box::new(Cursor::new(body()));
    let message = NewMessage::default();
    let sent = stage
        .client
        .send_large(&name("orders"), message, source)
        .await;
    let id = sent.unwrap().id.parse().unwrap();
    let folder = std::fs::read_dir(stage.folder.path().join("blobs")).unwrap();
    let file = folder.last().unwrap().unwrap().path();
    let sound = std::fs::read(&file).unwrap();
    for (at, code) in [(0, Code::Damaged), (LARGE - 1, Code::Unreachable)] {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(read(&stage, id).await.unwrap_err().code, code, "{at}");
    }
    stage.end().await;
}

#[tokio::test]
async fn a_head_in_json_says_all_but_queue_and_body() {
    let stage = Stage::new().await;
    let path = "/v1/queues/orders/messages";
    let head = r#"{"attributes":{"Tenant":"a"},"priority":9,"group":"g"}"#;
    let more = [("gristmill-message", head), ("gristmill-type", "t")];
    stage.post(path, &more, "hi").await.unwrap();
    let seen = stage.client.peek(&name("orders"), 1).await.unwrap();
    let envelope = &seen[0].envelope;
    assert_eq!(
        envelope.attributes.0,
        [("Tenant".to_owned(), "a".to_owned())]
    );
    assert_eq!(
        (envelope.priority, envelope.group.as_deref()),
        (9, Some("g"))
    );
    assert_eq!(envelope.message_type.as_deref(), Some("t"));
    for (head, expected) in [
        (r#"{"body":"x"}"#, "the request carries the other"),
        (r#"{"queue":"x"}"#, "the address names the one"),
        (
            r#"{"bodie":"x"}"#,
            "Gristmill-Message is not as it should be",
        ),
    ] {
        let refused = stage.post(path, &[("gristmill-message", head)], "hi").await;
        let problem = refused.unwrap_err();
        assert!(problem.detail.contains(expected), "{problem}");
    }
    stage.end().await;
}
