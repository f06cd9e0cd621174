//! The addresses: one table, and one short function for each.

mod backup;
mod cron;
mod dead;
mod handlers;
mod made;
mod messages;
mod pull;
mod queues;
mod redrives;
mod reply;
mod send;
mod server;
mod tokens;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request};
use gristmill_queue::{MessageId, QueueName};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Gate;
use super::table::{self, Route};
use crate::api::{Api, Code, Problem};

/// How many of anything are on a page unless the request says otherwise.
const DEFAULT_PAGE: usize = 100;

/// All addresses, behind a gate.
pub fn router(api: Api, gate: Gate) -> Router {
    table::router(routes(), &Arc::new(gate))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(api))
}

/// All routes, as they stand in the document.
pub(super) fn routes() -> Vec<Route> {
    let rooms = [
        queues::routes(),
        made::routes(),
        send::routes(),
        pull::routes(),
        messages::routes(),
        reply::routes(),
        topics::routes(),
        dead::routes(),
        redrives::routes(),
        cron::routes(),
        handlers::routes(),
        tokens::routes(),
        backup::routes(),
        server::routes(),
    ];
    rooms.into_iter().flatten().collect()
}

type TextPath = Result<Path<String>, PathRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

fn text(path: TextPath) -> Result<String, Problem> {
    let Path(text) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(text)
}

fn queue_name(path: TextPath) -> Result<QueueName, Problem> {
    QueueName::new(&text(path)?).map_err(|error| Problem::bad_request(error.to_string()))
}

fn message_id(path: TextPath) -> Result<MessageId, Problem> {
    text(path)?
        .parse()
        .map_err(|error: gristmill_queue::id::InvalidMessageId| {
            Problem::bad_request(error.to_string())
        })
}

fn asked<T>(query: Asked<T>) -> Result<T, Problem> {
    query
        .map(|Query(asked)| asked)
        .map_err(|error| Problem::bad_request(error.body_text()))
}

/// Which page of a list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

async fn nothing_here(request: Request) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is nothing at {}", request.uri().path()),
    )
}

async fn wrong_method(request: Request) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!(
            "{} is not possible at {}",
            request.method(),
            request.uri().path()
        ),
    )
}
