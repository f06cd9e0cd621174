//! Handlers, and their versions.

use axum::Json;
use axum::extract::State;

use super::{TextPath, text};
use crate::api::{Api, Code, HandlerView, Items, Problem, VersionView};
use crate::auth::Action::Read;
use crate::http::answer::Answer;
use crate::http::guard::Caller;
use crate::http::table::{Needs, Route, SharedApi, get};

pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/handlers", "list_handlers", Needs::Found(Read), handlers)
            .says("Lists the handlers: which module serves which queue, since when, and why one does not.")
            .gives::<Items<HandlerView>>(200),
        get("/v1/handlers/{name}/versions", "list_versions", Needs::Found(Read), versions)
            .says("Lists the versions of a handler that can serve at once: the serving one first, then earlier ones.")
            .gives::<Items<VersionView>>(200),
    ]
}

/// The handlers of which a queue is theirs to see; of those without a queue, who may see all.
fn shown(api: &Api, caller: &Caller) -> Vec<HandlerView> {
    let mut handlers = api.handlers().unwrap_or_default();
    handlers.retain(|handler| {
        let queues = &handler.queues;
        queues.iter().any(|queue| caller.may(Read, queue)) || caller.check_all(Read).is_ok()
    });
    handlers
}

async fn handlers(State(api): State<SharedApi>, caller: Caller) -> Json<Items<HandlerView>> {
    let items = shown(&api, &caller);
    Json(Items { items })
}

async fn versions(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
) -> Answer<Items<VersionView>> {
    let name = text(path)?;
    if !shown(&api, &caller)
        .iter()
        .any(|handler| handler.name == name)
    {
        let detail = format!("there is no handler {name:?}: see `gristmill handlers`");
        return Err(Problem::new(Code::HandlerNotFound, detail));
    }
    let items = api.versions(&name)?;
    Ok(Json(Items { items }))
}
