//! Answers, and the one place where a problem becomes an HTTP answer.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::api::{Code, Problem, ProblemJson};

/// The media type of RFC 9457.
pub const PROBLEM: &str = "application/problem+json";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(ProblemJson::from(&self))).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if self.code == Code::Unauthorized {
            let wanted = HeaderValue::from_static("Bearer realm=\"gristmill\"");
            headers.insert(WWW_AUTHENTICATE, wanted);
        }
        if let Some(seconds) = self.code.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What a request is answered with.
pub type Answer<T> = Result<Json<T>, Problem>;

/// Answers with 201.
pub fn created<T: Serialize>(made: T) -> (StatusCode, Json<T>) {
    (StatusCode::CREATED, Json(made))
}
