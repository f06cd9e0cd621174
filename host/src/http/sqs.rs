//! The listener of the SQS endpoint: what arrives becomes a request as that room wants it, within limits.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body;
use super::limits::{ACCEPT_PAUSE, MAX_SQS_CONNECTIONS, MAX_SQS_REQUEST, SQS_IDLE, STOP_TIMEOUT};
use crate::api::{Code, Problem};
use crate::sqs::error::{Kind, SqsError};
use crate::sqs::wire::Incoming;
use crate::sqs::{Reply, Sqs};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");
const AUTHORIZATION: HeaderName = HeaderName::from_static("authorization");

/// Every address, since a queue may be named by any.
pub fn sqs_router(sqs: Sqs) -> Router {
    Router::new().fallback(answer).with_state(sqs)
}

async fn answer(State(sqs): State<Sqs>, request: Request) -> Response {
    let mut incoming = head(&request);
    if is_of_a_page(request.headers()) {
        let message = "Requests that pages make in a browser are not taken.";
        let refused = SqsError::new(Kind::AccessDenied, message);
        return response(sqs.refuse(&incoming, refused));
    }
    match body::read(request, MAX_SQS_REQUEST).await {
        Ok(read) => {
            incoming.body = read;
            response(sqs.answer(&incoming).await)
        }
        Err(problem) => response(sqs.refuse(&incoming, refused(problem))),
    }
}

/// Whether a browser says that a page has made the request. Any page that somebody looks at could, and a
/// form is all it takes.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get(SITE);
    headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none")
}

fn refused(problem: Problem) -> SqsError {
    let kind = match problem.code {
        Code::TooLarge => Kind::RequestTooLarge,
        _ => Kind::InvalidParameterValue,
    };
    SqsError::new(kind, problem.detail)
}

fn head(request: &Request) -> Incoming {
    let headers = request.headers();
    let text = |name: HeaderName| text(headers, name);
    Incoming {
        get: request.method() == Method::GET,
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        content_type: text(CONTENT_TYPE),
        target: text(TARGET),
        host: text(HOST).filter(|host| is_host(host)),
        trace: text(TRACE),
        region: text(AUTHORIZATION).and_then(|header| region(&header)),
        ..Incoming::default()
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

/// What stands in a URL that is given back: a name or an address, and a port.
fn is_host(host: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    !host.is_empty() && host.len() <= 255 && host.bytes().all(fits)
}

/// The region in the scope of a signature: `Credential=KEY/DATE/REGION/sqs/aws4_request`.
fn region(authorization: &str) -> Option<String> {
    let (_, credential) = authorization.split_once("Credential=")?;
    let credential = credential.split([',', ' ']).next()?;
    let mut parts = credential.rsplit('/');
    let region = parts.nth(2)?;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_region = (1..=32).contains(&region.len()) && region.bytes().all(fits);
    is_region.then(|| region.to_owned())
}

fn response(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(REQUEST_ID, &reply.request_id);
    if let Some(error) = &reply.query_error {
        set(QUERY_ERROR, error);
    }
    response
}

/// Answers requests to the endpoint until `stop` is ready, then lets open ones end for a while.
pub async fn serve_sqs_until(listener: TcpListener, sqs: Sqs, stop: impl Future<Output = ()>) {
    let service = TowerToHyperService::new(sqs_router(sqs));
    let open = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_SQS_CONNECTIONS));
    let mut stop = pin!(stop);
    loop {
        let (stream, place) = tokio::select! {
            next = accept(&listener, &places) => next,
            () = &mut stop => break,
        };
        // Answers are small and waited for.
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(SQS_IDLE)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the SQS endpoint broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIMEOUT, open.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests to the SQS endpoint were still open when the host stopped");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "the SQS endpoint takes no connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
