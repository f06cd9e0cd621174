//! Topics.

use axum::Json;
use axum::extract::State;

use crate::api::{Items, TopicView};
use crate::auth::Action::Read;
use crate::http::answer::Answer;
use crate::http::guard::Caller;
use crate::http::table::{Needs, Route, SharedApi, get};

pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/topics", "list_topics", Needs::Found(Read), topics)
            .says("Lists the topics: who gets copies, and how many messages went nowhere.")
            .gives::<Items<TopicView>>(200),
    ]
}

async fn topics(State(api): State<SharedApi>, caller: Caller) -> Answer<Items<TopicView>> {
    let mut items = api.topics().await?;
    items.retain(|topic| caller.may(Read, &topic.name));
    Ok(Json(Items { items }))
}
