//! Tokens and access keys.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::{TextPath, text};
use crate::api::{Items, Problem, TokenIn, TokenOut, TokenView};
use crate::auth::Action::Manage;
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::limits::MAX_REQUEST;
use crate::http::table::{Gives, Needs, Route, SharedApi, delete, get, post};

pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/tokens", "list_tokens", Needs::All(Manage), list)
            .says("Lists tokens and access keys, the oldest first; never what they are proven by.")
            .gives::<Items<TokenView>>(200),
        post("/v1/tokens", "create_token", Needs::All(Manage), create)
            .says(
                "Makes a token, or an access key for signatures of AWS. It is told only this once.",
            )
            .takes::<TokenIn>()
            .gives::<TokenOut>(201),
        delete(
            "/v1/tokens/{token}",
            "revoke_token",
            Needs::All(Manage),
            revoke,
        )
        .says("Takes a token or access key back: no later request is let in by it.")
        .giving(204, Gives::Nothing),
    ]
}

async fn list(State(api): State<SharedApi>) -> Answer<Items<TokenView>> {
    let items = api.tokens().await?;
    Ok(Json(Items { items }))
}

async fn create(State(api): State<SharedApi>, request: Request) -> Result<Response, Problem> {
    let asked: TokenIn = body::read_json(request, MAX_REQUEST).await?;
    let made: TokenOut = api.create_token(asked).await?;
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, never);
    Ok(response)
}

async fn revoke(State(api): State<SharedApi>, path: TextPath) -> Result<StatusCode, Problem> {
    api.revoke_token(text(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
