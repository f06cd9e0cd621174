//! The host itself: what it is, and whether it is well.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use crate::api::{Code, Problem, ServerView, VersionAnswer};
use crate::http::answer::Answer;
use crate::http::openapi;
use crate::http::table::{Gives, Needs, Route, SharedApi, get};

pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/version", "get_version", Needs::Token, version)
            .says("Says which program answers.")
            .gives::<VersionAnswer>(200),
        get("/v1/server", "get_server", Needs::Token, server)
            .says("Shows the host: version, for how long it runs, and how far it lets one go.")
            .gives::<ServerView>(200),
        get("/openapi.json", "get_openapi", Needs::Nothing, openapi)
            .says("Gives the OpenAPI document of this API.")
            .giving(200, Gives::AnyJson),
        get("/livez", "live", Needs::Nothing, live)
            .says("Says that the process answers.")
            .giving(200, Gives::Text),
        get("/readyz", "ready", Needs::Nothing, ready)
            .says("Says whether the host takes and delivers messages; 503 if not.")
            .giving(200, Gives::Text),
    ]
}

async fn version(State(api): State<SharedApi>) -> Json<VersionAnswer> {
    Json(api.version())
}

async fn server(State(api): State<SharedApi>) -> Answer<ServerView> {
    Ok(Json(api.server().await?))
}

/// It is the same as long as the program runs.
async fn openapi() -> Response {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| openapi::document(&super::routes()).to_string());
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], DOCUMENT.as_str()).into_response()
}

async fn live() -> &'static str {
    "ok\n"
}

/// Ready as long as the writer answers. When the host stops, the listeners go first.
async fn ready(State(api): State<SharedApi>) -> Response {
    match api.queues().await {
        Ok(_) => "ok\n".into_response(),
        // What is wrong is told to those who have a token.
        Err(_) => {
            Problem::new(Code::Busy, "the host is not ready: its log says why").into_response()
        }
    }
}
