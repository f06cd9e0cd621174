//! Redrives: dead letters taken back.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use gristmill_store::{Destination, RedriveOrder};

use super::dead::{LetterPath, queue_and_id};
use super::{TextPath, queue_name};
use crate::api::{Count, Edited, Items, Problem, RedriveIn, RedriveOut, RedriveView};
use crate::auth::Action::{Manage, Read, Send};
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::guard::Caller;
use crate::http::limits::{MAX_MESSAGE, MAX_REQUEST};
use crate::http::table::{Needs, Route, SharedApi, Takes, get, post};

pub fn routes() -> Vec<Route> {
    vec![
        post(
            "/v1/queues/{queue}/dead/redrive",
            "redrive",
            Needs::Queue(Manage),
            redrive,
        )
        .says("Takes dead letters back, or only counts them. With a rate it goes on by itself.")
        .takes::<RedriveIn>()
        .gives::<RedriveOut>(200),
        post(
            "/v1/queues/{queue}/dead/{id}/redrive",
            "redrive_edited",
            Needs::Queue(Manage),
            redrive_edited,
        )
        .says("Sends a dead letter again with the body of the request, and removes it.")
        .carrying(Takes::Bytes)
        .gives::<Edited>(200),
        get(
            "/v1/redrives",
            "list_redrives",
            Needs::Found(Read),
            redrives,
        )
        .says("Lists the redrives that go on by themselves.")
        .gives::<Items<RedriveView>>(200),
        post(
            "/v1/redrives/{number}/cancel",
            "cancel_redrive",
            Needs::Found(Manage),
            cancel,
        )
        .says("Ends a redrive where it is; says how many letters it has taken.")
        .gives::<Count>(200),
    ]
}

/// Letters go only where their mover may put something.
fn check_destination(caller: &Caller, order: &RedriveOrder) -> Result<(), Problem> {
    match &order.to {
        Destination::Home => Ok(()),
        Destination::Queue(queue) | Destination::Onward(queue) => {
            caller.check(Send, queue.as_str())
        }
        // To whichever queues they died in.
        Destination::Source => caller.check_all(Manage),
    }
}

async fn redrive(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
    request: Request,
) -> Answer<RedriveOut> {
    let queue = queue_name(path)?;
    let order: RedriveIn = body::read_json(request, MAX_REQUEST).await?;
    let dry_run = order.dry_run;
    let order = order.try_into()?;
    check_destination(&caller, &order)?;
    Ok(Json(api.redrive(queue, order, dry_run).await?))
}

/// The body of the request is the new body of the message.
async fn redrive_edited(
    State(api): State<SharedApi>,
    path: LetterPath,
    request: Request,
) -> Answer<Edited> {
    let (queue, id) = queue_and_id(path)?;
    let new = body::read(request, MAX_MESSAGE).await?;
    Ok(Json(api.redrive_edited(queue, id, new).await?))
}

async fn redrives(State(api): State<SharedApi>, caller: Caller) -> Answer<Items<RedriveView>> {
    let mut items = api.redrives().await?;
    items.retain(|one| caller.may(Read, &one.queue));
    Ok(Json(Items { items }))
}

async fn cancel(
    State(api): State<SharedApi>,
    caller: Caller,
    path: Result<Path<u64>, PathRejection>,
) -> Answer<Count> {
    let Path(number) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    // One that is not there is told so by what cancels it.
    if let Some(one) = api
        .redrives()
        .await?
        .iter()
        .find(|one| one.redrive == number)
    {
        caller.check(Manage, &one.queue)?;
    }
    let count = api.cancel_redrive(number).await?;
    Ok(Json(Count { count }))
}
