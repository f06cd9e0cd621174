//! Who is let in: every route, for every identity, from the table that the router is made from.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::{Stage, name};
use crate::api::{Api, Problem, ProblemJson};
use crate::auth::{Access, Action, Grant, Identity, Queues, Scopes};
use crate::config::{ApiAuth, ApiConfig};
use crate::http::routes::routes;
use crate::http::table::{Needs, Route};
use crate::http::{Gate, router};
use crate::net::{Budget, Peer};

pub(super) fn config(auth: ApiAuth) -> ApiConfig {
    ApiConfig {
        listen: None,
        auth,
        tls: None,
        max_connections: 10,
        rate: None,
        rate_per_client: None,
    }
}

/// A router that takes whoever comes for a client at an address.
pub(super) struct Network {
    router: axum::Router,
    pub access: Access,
    _folder: tempfile::TempDir,
}

impl Network {
    pub fn new(stage: &Stage, config: &ApiConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::of(folder.path());
        let api = Api::new(stage.queues.clone(), Arc::new(Vec::new)).with_access(access.clone());
        let gate = Gate::of_network(config, access.clone(), Budget::default());
        Network {
            router: router(api, gate),
            access,
            _folder: folder,
        }
    }

    pub fn token(&self, can: &[Action], queues: &str, lasts: Option<Duration>) -> String {
        let grant = Grant {
            name: "test".to_owned(),
            scopes: Scopes::of(can),
            queues: queues.parse().unwrap(),
            lasts,
        };
        self.access.issue(&grant).unwrap().token
    }

    pub async fn ask(&self, request: Builder, body: &str) -> Response<Body> {
        let address: SocketAddr = "10.0.0.9:4711".parse().unwrap();
        let peer = Peer::Remote {
            address,
            secure: false,
        };
        let request = request
            .extension(peer)
            .body(Body::from(body.to_owned()))
            .unwrap();
        TowerToHyperService::new(self.router.clone())
            .call(request)
            .await
            .unwrap()
    }

    pub async fn get(&self, path: &str, token: &str) -> (u16, serde_json::Value) {
        let request = Request::get(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"));
        let answer = self.ask(request, "").await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

fn address(route: &Route) -> String {
    let id = "019a9b5e-7c11-7f00-8000-000000000001";
    let path = route.path.replace("{queue}", "orders").replace("{id}", id);
    let path = path.replace("{number}", "7").replace("{name}", "x");
    path.replace("{token}", "x")
        .replace("{correlation_id}", "x")
}

/// What somebody should hear, worked out from what they may do and nothing else of the program.
fn expected(needs: Needs, identity: Option<&Identity>) -> Option<u16> {
    let Some(identity) = identity else {
        return (needs != Needs::Nothing).then_some(401);
    };
    let allowed = match needs {
        Needs::Nothing | Needs::Token => true,
        Needs::Queue(action) => {
            let named = identity
                .queues
                .patterns()
                .iter()
                .any(|one| one == "*" || one == "orders");
            identity.scopes.has(action) && named
        }
        // With which queues is for the route to find out.
        Needs::Found(action) => identity.scopes.has(action),
        Needs::All(action) => {
            identity.scopes.has(action) && identity.queues.patterns().iter().any(|one| one == "*")
        }
    };
    (!allowed).then_some(403)
}

#[tokio::test]
async fn every_route_lets_in_exactly_those_who_may() {
    let stage = Stage::new().await;
    let network = Network::new(&stage, &config(ApiAuth::Token));
    let mut people: Vec<(String, Option<String>, Option<Identity>)> = vec![
        ("without a token".to_owned(), None, None),
        (
            "with another word".to_owned(),
            Some("gm_abcdefghijkl_x".to_owned()),
            None,
        ),
    ];
    let over = network.token(&Action::ALL, "*", Some(Duration::ZERO));
    people.push(("with a token that is over".to_owned(), Some(over), None));
    let revoked = network.token(&Action::ALL, "*", None);
    let id = revoked.split('_').nth(1).unwrap();
    assert!(network.access.revoke(id).unwrap());
    people.push((
        "with a token that was revoked".to_owned(),
        Some(revoked),
        None,
    ));
    // Every set of actions, with all queues, with this one and with another.
    for set in 1..16u8 {
        let can: Vec<Action> = Action::ALL
            .into_iter()
            .filter(|one| set & 1 << *one as u8 != 0)
            .collect();
        for queues in ["*", "orders", "invoices"] {
            let token = network.token(&can, queues, None);
            let identity = Identity {
                who: String::new(),
                scopes: Scopes::of(&can),
                queues: queues.parse::<Queues>().unwrap(),
            };
            people.push((format!("{can:?} {queues}"), Some(token), Some(identity)));
        }
    }
    let mut asked = 0;
    for route in routes() {
        for (who, token, identity) in &people {
            let mut request = Request::builder()
                .method(route.method.clone())
                .uri(address(&route))
                .header("host", "localhost");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            // A body that nothing is done with: what is let in fails later, and changes nothing.
            let answer = network.ask(request, "[").await;
            let status = answer.status().as_u16();
            let wanted = expected(route.needs, identity.as_ref());
            let told = format!("{} {}: {who}: {status}", route.method, route.path);
            match wanted {
                Some(refusal) => assert_eq!(status, refusal, "{told}"),
                None => assert!(
                    status != 401 && (status != 403 || matches!(route.needs, Needs::Found(_))),
                    "{told}"
                ),
            }
            let asks = answer.headers().contains_key("www-authenticate");
            assert_eq!(asks, status == 401, "{told}");
            asked += 1;
        }
    }
    println!("{asked} requests");
    assert!(asked > 1500, "{asked}");
    stage.end().await;
}

#[tokio::test]
async fn what_is_found_out_later_is_kept_to_the_queues_of_a_token() {
    let stage = Stage::new().await;
    let network = Network::new(&stage, &config(ApiAuth::Token));
    let sent = stage
        .client
        .send_all(
            &name("orders"),
            vec![gristmill_queue::NewMessage::with_body("x")],
        )
        .await
        .unwrap();
    let id = &sent[0].id;
    let small = network.token(&Action::ALL, "small", None);
    let orders = network.token(&Action::ALL, "orders", None);
    let (_, listed) = network.get("/v1/queues", &small).await;
    let names: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["small"]);
    // A message of another's queue is not there, in the very words of one that never was.
    let never = "019a9b5e-7c11-7f00-8000-000000000001";
    for path in ["", "/body"] {
        let (status, said) = network
            .get(&format!("/v1/messages/{id}{path}"), &small)
            .await;
        let (_, of_none) = network
            .get(&format!("/v1/messages/{never}{path}"), &small)
            .await;
        assert_eq!(status, 404);
        assert_eq!(said.to_string().replace(id, never), of_none.to_string());
        assert_eq!(
            network
                .get(&format!("/v1/messages/{id}{path}"), &orders)
                .await
                .0,
            200
        );
    }
    let post = |path: &str, token: &str| {
        Request::post(path.to_owned())
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
    };
    let batch = r#"{"messages":[{"queue":"small","body":"x"},{"queue":"orders","body":"x"}]}"#;
    assert_eq!(
        network
            .ask(post("/v1/messages/batch", &small), batch)
            .await
            .status(),
        403
    );
    let replying = r#"{"messages":[{"queue":"small","body":"x","reply_to":"orders"}]}"#;
    assert_eq!(
        network
            .ask(post("/v1/messages/batch", &small), replying)
            .await
            .status(),
        403
    );
    let header = post("/v1/queues/small/messages", &small).header("gristmill-reply-to", "orders");
    assert_eq!(network.ask(header, "x").await.status(), 403);
    let request = post("/v1/requests?wait=0s", &small);
    assert_eq!(
        network
            .ask(request, r#"{"queue":"orders","body":"x"}"#)
            .await
            .status(),
        403
    );
    let moved = post(&format!("/v1/messages/{id}/move"), &small);
    assert_eq!(network.ask(moved, r#"{"due":"now"}"#).await.status(), 404);
    for (to, status) in [
        (r#"{"to":"orders"}"#, 403),
        (r#"{"to_source":true}"#, 403),
        ("{}", 200),
    ] {
        let answer = network
            .ask(post("/v1/queues/small/dead/redrive", &small), to)
            .await;
        assert_eq!(answer.status().as_u16(), status, "{to}");
    }
    let queues = stage.client.queues().await.unwrap();
    let sent: Vec<u64> = queues.iter().map(|queue| queue.totals.sent).collect();
    assert_eq!(sent, [1, 0]);
    stage.end().await;
}

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
