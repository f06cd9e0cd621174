//! The crontab.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::{TextPath, text};
use crate::api::{CronView, Items, Problem, Sent};
use crate::auth::Action::{Manage, Read};
use crate::http::answer::{Answer, created};
use crate::http::guard::Caller;
use crate::http::table::{Needs, Route, SharedApi, get, post};

pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/cron", "list_cron", Needs::Found(Read), cron)
            .says("Lists the crontab: each entry with its last and its next tick.")
            .gives::<Items<CronView>>(200),
        post("/v1/cron/{name}/run", "run_cron", Needs::Found(Manage), run)
            .says("Sends the message of an entry now, as though it ticked.")
            .gives::<Sent>(201),
    ]
}

async fn cron(State(api): State<SharedApi>, caller: Caller) -> Answer<Items<CronView>> {
    let mut items = api.cron()?;
    items.retain(|entry| caller.may(Read, &entry.queue));
    Ok(Json(Items { items }))
}

async fn run(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let name = text(path)?;
    // One that is not there is told so by what runs it.
    if let Some(entry) = api.cron()?.into_iter().find(|entry| entry.name == name) {
        caller.check(Manage, &entry.queue)?;
    }
    Ok(created(api.run_cron(&name).await?))
}
