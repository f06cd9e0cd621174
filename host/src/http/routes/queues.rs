//! Queues: what is in them, and an operator's switches.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use gristmill_store::PurgeStates;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Asked, DEFAULT_PAGE, PageQuery, TextPath, asked, queue_name};
use crate::api::{
    Count, HaltedPage, Items, MAX_PAGE, OneQueue, Problem, PurgeOrder, QueuePage, ResumeOrder,
    WaitingView,
};
use crate::auth::Action::{Manage, Read};
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::guard::Caller;
use crate::http::limits::MAX_REQUEST;
use crate::http::table::{Gives, Needs, Route, SharedApi, get, post};

/// How many messages a look into a queue returns unless it says otherwise.
const DEFAULT_PEEK: usize = 10;

pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/queues", "list_queues", Needs::Found(Read), queues)
            .says("Lists the queues, by name: depths, rates, and what keeps them from delivering.")
            .asks::<PageQuery>()
            .gives::<QueuePage>(200),
        get("/v1/queues/{queue}", "get_queue", Needs::Queue(Read), queue)
            .says("Shows one queue: how it is, and what was made of it while a host ran.")
            .gives::<OneQueue>(200),
        get(
            "/v1/queues/{queue}/messages",
            "peek",
            Needs::Queue(Read),
            peek,
        )
        .says("Shows the next messages of a queue; changes nothing.")
        .asks::<PeekQuery>()
        .gives::<Items<WaitingView>>(200),
        get(
            "/v1/queues/{queue}/groups/halted",
            "list_halted_groups",
            Needs::Queue(Read),
            halted_groups,
        )
        .says("Lists the groups of a queue that deliver nothing until they are resumed.")
        .asks::<PageQuery>()
        .gives::<HaltedPage>(200),
        post(
            "/v1/queues/{queue}/groups/resume",
            "resume_groups",
            Needs::Queue(Manage),
            resume_groups,
        )
        .says("Delivers halted groups again: one, or all.")
        .takes::<ResumeOrder>()
        .gives::<Count>(200),
        post(
            "/v1/queues/{queue}/pause",
            "pause_queue",
            Needs::Queue(Manage),
            pause,
        )
        .says("Stops delivering from a queue; lasts over restarts.")
        .giving(204, Gives::Nothing),
        post(
            "/v1/queues/{queue}/resume",
            "resume_queue",
            Needs::Queue(Manage),
            resume,
        )
        .says("Delivers from a paused queue again.")
        .giving(204, Gives::Nothing),
        post(
            "/v1/queues/{queue}/purge",
            "purge_queue",
            Needs::Queue(Manage),
            purge,
        )
        .says("Removes messages in these states for good; never what is in flight.")
        .takes::<PurgeOrder>()
        .gives::<Count>(200),
    ]
}

async fn queues(
    State(api): State<SharedApi>,
    caller: Caller,
    query: Asked<PageQuery>,
) -> Answer<QueuePage> {
    let query = asked(query)?;
    let limit = query.limit.unwrap_or(MAX_PAGE);
    let page = api.queue_page(query.cursor.as_deref(), limit, |name| {
        caller.may(Read, name)
    });
    Ok(Json(page.await?))
}

async fn queue(State(api): State<SharedApi>, path: TextPath) -> Answer<OneQueue> {
    Ok(Json(api.queue(&queue_name(path)?).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PeekQuery {
    /// How many at most.
    limit: Option<usize>,
}

async fn peek(
    State(api): State<SharedApi>,
    path: TextPath,
    query: Asked<PeekQuery>,
) -> Answer<Items<WaitingView>> {
    let queue = queue_name(path)?;
    let limit = asked(query)?.limit.unwrap_or(DEFAULT_PEEK);
    let items = api.peek(queue, limit).await?;
    Ok(Json(Items { items }))
}

async fn purge(State(api): State<SharedApi>, path: TextPath, request: Request) -> Answer<Count> {
    let queue = queue_name(path)?;
    let order: PurgeOrder = body::read_json(request, MAX_REQUEST).await?;
    let count = api.purge(queue, PurgeStates::try_from(&order)?).await?;
    Ok(Json(Count { count }))
}

async fn halted_groups(
    State(api): State<SharedApi>,
    path: TextPath,
    query: Asked<PageQuery>,
) -> Answer<HaltedPage> {
    let queue = queue_name(path)?;
    let query = asked(query)?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    let page = api.halted_groups(queue, query.cursor.as_deref(), limit);
    Ok(Json(page.await?))
}

async fn resume_groups(
    State(api): State<SharedApi>,
    path: TextPath,
    request: Request,
) -> Answer<Count> {
    let queue = queue_name(path)?;
    let order: ResumeOrder = body::read_json(request, MAX_REQUEST).await?;
    let count = api.resume_groups(queue, order).await?;
    Ok(Json(Count { count }))
}

async fn pause(State(api): State<SharedApi>, path: TextPath) -> Result<StatusCode, Problem> {
    api.pause(queue_name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resume(State(api): State<SharedApi>, path: TextPath) -> Result<StatusCode, Problem> {
    api.resume(queue_name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
