//! Queues that are made, changed and deleted while the host runs.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::{TextPath, queue_name};
use crate::api::{MadeView, Problem};
use crate::auth::Action::{Manage, Send};
use crate::http::body;
use crate::http::guard::Caller;
use crate::http::limits::MAX_REQUEST;
use crate::http::table::{Gives, Needs, Route, SharedApi, delete, put};

pub fn routes() -> Vec<Route> {
    vec![
        put(
            "/v1/queues/{queue}",
            "make_queue",
            Needs::Queue(Manage),
            make,
        )
        .says("Makes a queue, or changes one that was made: the keys of `[queue.NAME]`.")
        .takes::<Map<String, Value>>()
        .gives::<MadeView>(201)
        .gives::<MadeView>(200),
        delete(
            "/v1/queues/{queue}",
            "delete_queue",
            Needs::Queue(Manage),
            remove,
        )
        .says("Deletes a queue that was made, with all that is in it.")
        .giving(204, Gives::Nothing),
    ]
}

async fn make(
    State(api): State<SharedApi>,
    path: TextPath,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<MadeView>), Problem> {
    let name = queue_name(path)?;
    let definition: Map<String, Value> = body::read_json(request, MAX_REQUEST).await?;
    // What dies in a queue is sent to that one.
    if let Some(target) = definition.get("dead_letter").and_then(Value::as_str) {
        caller.check(Send, target)?;
    }
    let (fresh, made) = api.make_queue(&name, definition).await?;
    let status = if fresh {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(made)))
}

async fn remove(State(api): State<SharedApi>, path: TextPath) -> Result<StatusCode, Problem> {
    api.delete_queue(&queue_name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
