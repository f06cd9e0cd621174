//! Who is let in: every route, for every identity, from the table that the router is made from.

mod limits;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::{Stage, name};
use crate::api::Api;
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
        Needs::FoundEither(one, other) => identity.scopes.has(one) || identity.scopes.has(other),
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
                    status != 401
                        && (status != 403
                            || matches!(route.needs, Needs::Found(_) | Needs::FoundEither(..))),
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
