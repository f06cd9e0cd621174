//! Requests that make no sense or cannot be met, and what is said about them.

use super::*;

#[tokio::test]
async fn trouble_has_a_code_and_says_what_to_do() {
    let stage = Stage::new().await;
    let large = "x".repeat(limits::MAX_MESSAGE + 1);
    let too_large = "x".repeat(limits::MAX_BATCH_BYTES + 1);
    let none: &[(&str, &str)] = &[];
    let send = "/v1/queues/orders/messages";
    let table = [
        (
            "/v1/queues/nope/messages",
            none,
            "x".to_owned(),
            Code::QueueNotFound,
            "[queue.nope]",
        ),
        (
            "/v1/queues/nope/pause",
            none,
            String::new(),
            Code::QueueNotFound,
            "nope",
        ),
        (
            "/v1/queues/a.b/messages",
            none,
            "x".to_owned(),
            Code::BadRequest,
            "queue name",
        ),
        (
            send,
            &[("gristmill-delay", "soon")],
            "x".to_owned(),
            Code::BadRequest,
            "Gristmill-Delay",
        ),
        (
            send,
            &[("gristmill-ttl", "0s")],
            "x".to_owned(),
            Code::InvalidMessage,
            "ttl",
        ),
        (
            "/v1/queues/orders/request",
            none,
            large,
            Code::TooLarge,
            "1048576",
        ),
        (
            "/v1/queues/orders/messages/batch",
            none,
            too_large,
            Code::TooLarge,
            "16777216",
        ),
        (
            "/v1/queues/orders/messages/batch",
            none,
            "[".to_owned(),
            Code::BadRequest,
            "not as it should be",
        ),
        (
            "/v1/queues/orders/messages/batch",
            none,
            r#"{"messages":[{"body":"a"},{"priority":11}]}"#.to_owned(),
            Code::BadRequest,
            "messages[1]: priority 11",
        ),
        (
            "/v1/queues/orders/purge",
            none,
            r#"{"states":["in_flight"]}"#.to_owned(),
            Code::BadRequest,
            "in_flight",
        ),
        (
            "/v1/queues/orders/dead/redrive",
            none,
            r#"{"filter":{"reason":"x"}}"#.to_owned(),
            Code::BadRequest,
            "no reason",
        ),
        (
            "/v1/version",
            none,
            String::new(),
            Code::MethodNotAllowed,
            "POST",
        ),
        ("/v2", none, String::new(), Code::NotFound, "/v2"),
    ];
    for (path, headers, body, code, says) in table {
        let problem = stage.post(path, headers, body).await.unwrap_err();
        assert_eq!(problem.code, code, "{path}: {problem}");
        assert!(problem.detail.contains(says), "{path}: {problem}");
    }
    for path in [
        "/v1/queues/orders/messages?limit=x",
        "/v1/queues/orders/dead?cursor=x",
        "/v1/queues/orders/dead/x",
    ] {
        let problem = stage
            .client
            .call(Method::GET, path, Bytes::new())
            .await
            .unwrap_err();
        assert_eq!(problem.code, Code::BadRequest, "{path}: {problem}");
    }
    // Nothing of it was accepted, and the connection still serves.
    assert_eq!(stage.client.peek(&name("orders"), 10).await.unwrap(), []);
    let version = stage.client.version().await.unwrap();
    assert_eq!(version.pid, std::process::id());
    for path in ["/livez", "/readyz"] {
        let answer = stage.client.call(Method::GET, path, Bytes::new()).await;
        assert_eq!(answer.unwrap(), "ok\n");
    }
    stage.end().await;
}
