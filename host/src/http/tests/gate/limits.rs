//! How often and how much, which pages and which types of bodies, and what is written down.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::super::Stage;
use super::{Network, config};
use crate::api::{Api, Problem, ProblemJson};
use crate::auth::{Access, Action};
use crate::config::{ApiAuth, ApiConfig};
use crate::http::{Gate, router};
use crate::net::{Budget, Peer};

#[tokio::test]
async fn pages_of_others_and_names_that_point_here_are_kept_out() {
    let stage = Stage::new().await;
    let open = Network::new(&stage, &config(ApiAuth::None));
    let ask = async |host: &str, origin: Option<&str>| {
        let mut request = Request::get("/v1/queues").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        open.ask(request, "").await.status()
    };
    assert_eq!(ask("localhost:7733", None).await, StatusCode::OK);
    assert_eq!(ask("evil.example:7733", None).await, StatusCode::FORBIDDEN);
    assert_eq!(
        ask("localhost:7733", Some("http://evil.example")).await,
        StatusCode::FORBIDDEN
    );
    stage.end().await;
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_again() {
    let stage = Stage::new().await;
    let rate = gristmill_queue::rate::Rate::new(1, Duration::from_secs(60), Some(2));
    let limited = ApiConfig {
        rate_per_client: Some(rate),
        ..config(ApiAuth::Token)
    };
    let network = Network::new(&stage, &limited);
    let (one, two) = (
        network.token(&[Action::Read], "*", None),
        network.token(&[Action::Read], "*", None),
    );
    for status in [200, 200, 429] {
        assert_eq!(network.get("/v1/queues", &one).await.0, status);
    }
    assert_eq!(network.get("/v1/queues", &two).await.0, 200);
    let request = Request::get("/v1/queues")
        .header("host", "x")
        .header("authorization", format!("Bearer {one}"));
    let answer = network.ask(request, "").await;
    let seconds: u32 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((50..=60).contains(&seconds), "{seconds}");
    // Guessing is counted by address, whatever is guessed.
    for status in [401, 401, 429] {
        assert_eq!(network.get("/v1/queues", "gm_guess").await.0, status);
    }
    stage.end().await;
}

#[tokio::test]
async fn more_than_may_be_held_is_refused_before_it_is_read() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(stage.queues.clone(), Arc::new(Vec::new));
    let gate = Gate::of_network(
        &config(ApiAuth::None),
        Access::of(folder.path()),
        Budget::new(2048),
    );
    let network = Network {
        router: router(api, gate),
        access: Access::of(folder.path()),
        _folder: folder,
    };
    // Nothing of it can be read: it would wait for ever.
    let (_pieces, channel) =
        http_body_util::channel::Channel::<bytes::Bytes, std::io::Error>::new(1);
    let never = Body::new(channel);
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let request = Request::post("/v1/queues/orders/messages/batch")
        .header("host", "localhost")
        .header("content-length", "4096")
        .extension(Peer::Remote {
            address,
            secure: false,
        })
        .body(never)
        .unwrap();
    let answer = TowerToHyperService::new(network.router.clone())
        .call(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    let small = Request::post("/v1/queues/orders/messages/batch").header("host", "localhost");
    assert_eq!(
        network
            .ask(small, r#"{"messages":[{"body":"x"}]}"#)
            .await
            .status(),
        StatusCode::CREATED
    );
    stage.end().await;
}

#[tokio::test]
async fn a_body_of_another_type_is_refused_where_json_is_taken() {
    let stage = Stage::new().await;
    let network = Network::new(&stage, &config(ApiAuth::None));
    let ask = async |kind: &str| {
        let request = Request::post("/v1/queues/orders/purge")
            .header("host", "localhost")
            .header("content-type", kind);
        let answer = network.ask(request, r#"{"states":["ready"]}"#).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    for json in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.x+json",
    ] {
        assert_eq!(ask(json).await.0, 200, "{json}");
    }
    let (status, said) = ask("application/x-www-form-urlencoded").await;
    assert_eq!(status, 415);
    let problem: ProblemJson = serde_json::from_str(&said).unwrap();
    assert!(
        Problem::from(problem)
            .detail
            .contains("Content-Type: application/json")
    );
    stage.end().await;
}

#[tokio::test]
async fn what_is_managed_is_written_down_and_what_is_shown_is_not() {
    let stage = Stage::new().await;
    let network = Network::new(&stage, &config(ApiAuth::Token));
    let token = network.token(&Action::ALL, "*", None);
    let record = Record::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(record.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .finish();
    // Where there is one subscriber only, what another thread says first is asked of that thread's, which
    // is none, and is heard by nobody from then on.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    let request = Request::post("/v1/queues/orders/pause")
        .header("host", "x")
        .header("authorization", format!("Bearer {token}"));
    assert_eq!(network.ask(request, "").await.status(), 204);
    let request = Request::post("/v1/queues/orders%0aforged/pause")
        .header("host", "x")
        .header("authorization", "Bearer wrong");
    assert_eq!(network.ask(request, "").await.status(), 401);
    assert_eq!(network.get("/v1/queues", &token).await.0, 200);
    drop(guard);
    let text = String::from_utf8(record.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("audit")).collect();
    let id = token.split('_').nth(1).unwrap();
    assert_eq!(lines.len(), 2, "{text}");
    for word in [
        &format!("token test ({id})"),
        "from=10.0.0.9:4711",
        "what=\"pause_queue\"",
        "queue=\"orders\"",
        "status=204",
    ] {
        assert!(lines[0].contains(word), "{word}: {text}");
    }
    for word in ["not let in", "queue=\"?\"", "status=401"] {
        assert!(lines[1].contains(word), "{word}: {text}");
    }
    assert!(!text.contains(&token), "a token is in the log");
    stage.end().await;
}

#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Record {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Record {
    type Writer = Record;

    fn make_writer(&'a self) -> Record {
        self.clone()
    }
}
