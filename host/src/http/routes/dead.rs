//! Dead letters.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use gristmill_queue::{MessageId, QueueName};
use gristmill_store::DeadFilter;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Asked, DEFAULT_PAGE, TextPath, asked, message_id, queue_name};
use crate::api::{
    Api, Count, DeadGroupView, DeadLetterView, DeadOrder, DeadPage, DeadSearch, FilterView, Items,
    MAX_PAGE, Problem,
};
use crate::auth::Action::{Manage, Read};
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::limits::MAX_REQUEST;
use crate::http::table::{Needs, Route, SharedApi, get, post};

pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/v1/queues/{queue}/dead",
            "list_dead",
            Needs::Queue(Read),
            dead,
        )
        .says("Lists dead letters of a queue, in original order.")
        .asks::<DeadQuery>()
        .gives::<DeadPage>(200),
        post(
            "/v1/queues/{queue}/dead/search",
            "search_dead",
            Needs::Queue(Read),
            search,
        )
        .says("Lists dead letters of a queue, with everything that can be asked for.")
        .takes::<DeadSearch>()
        .gives::<DeadPage>(200),
        get(
            "/v1/queues/{queue}/dead/groups",
            "list_dead_groups",
            Needs::Queue(Read),
            groups,
        )
        .says("Groups the dead letters of a queue by what they died of.")
        .gives::<Items<DeadGroupView>>(200),
        post(
            "/v1/queues/{queue}/dead/groups",
            "search_dead_groups",
            Needs::Queue(Read),
            search_groups,
        )
        .says("Groups dead letters of a queue, with everything that can be asked for.")
        .takes::<DeadSearch>()
        .gives::<Items<DeadGroupView>>(200),
        get(
            "/v1/queues/{queue}/dead/{id}",
            "get_dead",
            Needs::Queue(Read),
            letter,
        )
        .says("Shows one dead letter, whole: message, failure, attempts.")
        .gives::<DeadLetterView>(200),
        post(
            "/v1/queues/{queue}/dead/purge",
            "purge_dead",
            Needs::Queue(Manage),
            purge,
        )
        .says("Removes dead letters for good, or only counts them.")
        .takes::<DeadOrder>()
        .gives::<Count>(200),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeadQuery {
    /// Ids, separated by commas.
    id: Option<String>,
    reason: Option<String>,
    fingerprint: Option<String>,
    module: Option<String>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
    #[serde(rename = "type")]
    message_type: Option<String>,
    source: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

async fn dead(
    State(api): State<SharedApi>,
    path: TextPath,
    query: Asked<DeadQuery>,
) -> Answer<DeadPage> {
    let queue = queue_name(path)?;
    let query = asked(query)?;
    let ids = query.id.unwrap_or_default();
    let ids = ids.split(',').filter(|id| !id.is_empty());
    let filter = FilterView {
        ids: ids.map(str::to_owned).collect(),
        reason: query.reason,
        fingerprint: query.fingerprint,
        module: query.module,
        since_ms: query.since_ms,
        until_ms: query.until_ms,
        message_type: query.message_type,
        source: query.source,
        ..FilterView::default()
    };
    page(&api, queue, filter, query.cursor, query.limit).await
}

/// The same, with everything that can be asked for.
async fn search(
    State(api): State<SharedApi>,
    path: TextPath,
    request: Request,
) -> Answer<DeadPage> {
    let queue = queue_name(path)?;
    let search: DeadSearch = body::read_json(request, MAX_REQUEST).await?;
    page(&api, queue, search.filter, search.cursor, search.limit).await
}

async fn page(
    api: &Api,
    queue: QueueName,
    filter: FilterView,
    cursor: Option<String>,
    limit: Option<usize>,
) -> Answer<DeadPage> {
    let limit = limit.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    Ok(Json(
        api.dead(queue, filter.try_into()?, cursor, limit).await?,
    ))
}

async fn groups(State(api): State<SharedApi>, path: TextPath) -> Answer<Items<DeadGroupView>> {
    let queue = queue_name(path)?;
    let items = api.dead_groups(queue, DeadFilter::default(), false).await?;
    Ok(Json(Items { items }))
}

async fn search_groups(
    State(api): State<SharedApi>,
    path: TextPath,
    request: Request,
) -> Answer<Items<DeadGroupView>> {
    let queue = queue_name(path)?;
    let search: DeadSearch = body::read_json(request, MAX_REQUEST).await?;
    let groups = api.dead_groups(queue, search.filter.try_into()?, search.to_source);
    Ok(Json(Items {
        items: groups.await?,
    }))
}

pub(super) type LetterPath = Result<Path<(String, String)>, PathRejection>;

pub(super) fn queue_and_id(path: LetterPath) -> Result<(QueueName, MessageId), Problem> {
    let Path((queue, id)) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok((queue_name(Ok(Path(queue)))?, message_id(Ok(Path(id)))?))
}

async fn letter(State(api): State<SharedApi>, path: LetterPath) -> Answer<DeadLetterView> {
    let (queue, id) = queue_and_id(path)?;
    Ok(Json(api.dead_letter(queue, id).await?))
}

async fn purge(State(api): State<SharedApi>, path: TextPath, request: Request) -> Answer<Count> {
    let queue = queue_name(path)?;
    let order: DeadOrder = body::read_json(request, MAX_REQUEST).await?;
    let count = api
        .purge_dead(queue, order.filter.try_into()?, order.dry_run)
        .await?;
    Ok(Json(Count { count }))
}
