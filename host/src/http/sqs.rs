//! The listener of the SQS endpoint: what arrives becomes a request as that room wants it, within limits.

use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use hyper_util::service::TowerToHyperService;

use super::body;
use super::guard::hold_back;
use super::limits::MAX_SQS_REQUEST;
use crate::api::{Code, Problem};
use crate::auth::{Access, Identity, SigError};
use crate::config::SqsAuth;
use crate::net::{self, Budget, Listening, Peer};
use crate::sqs::error::{Kind, SqsError};
use crate::sqs::wire::Incoming;
use crate::sqs::{Reply, Sqs};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");
const AUTHORIZATION: HeaderName = HeaderName::from_static("authorization");

/// Who is let in at the endpoint, and how much of their requests may be held in memory.
#[derive(Clone)]
pub struct SqsGate {
    auth: SqsAuth,
    /// Who asks where everybody may.
    anybody: Arc<Identity>,
    access: Access,
    budget: Budget,
}

impl SqsGate {
    /// A gate that asks for what is configured.
    #[must_use]
    pub fn new(auth: SqsAuth, access: Access, budget: Budget) -> Self {
        SqsGate {
            auth,
            anybody: Arc::new(Identity::everything("anybody")),
            access,
            budget,
        }
    }

    /// Who signed a request, all of which is here.
    fn identify(&self, head: &Parts, body: &[u8]) -> Result<Arc<Identity>, SqsError> {
        match self.auth {
            SqsAuth::None => Ok(Arc::clone(&self.anybody)),
            SqsAuth::Sigv4 => {
                let signed = self.access.sigv4(head, body, SystemTime::now());
                Ok(signed.map_err(|error| unsigned(&error))?.identity)
            }
        }
    }
}

fn unsigned(error: &SigError) -> SqsError {
    let kind = match error {
        SigError::Missing => Kind::MissingAuthenticationToken,
        SigError::Incomplete(_) => Kind::IncompleteSignature,
        SigError::UnknownKey => Kind::InvalidClientTokenId,
        SigError::Skewed { .. } | SigError::Expired { .. } | SigError::Mismatch => {
            Kind::SignatureDoesNotMatch
        }
        SigError::Unavailable(error) => {
            // What is wrong with the file is nobody's business out there.
            tracing::debug!(%error, "an access key could not be looked up");
            let message = "The host cannot read its access keys: its log says why.";
            return SqsError::new(Kind::ServiceUnavailable, message);
        }
    };
    SqsError::new(kind, error.to_string())
}

/// Every address, since a queue may be named by any.
pub fn sqs_router(sqs: Sqs, gate: SqsGate) -> Router {
    Router::new()
        .fallback(answer)
        .with_state(Arc::new((sqs, gate)))
}

async fn answer(State(shared): State<Arc<(Sqs, SqsGate)>>, mut request: Request) -> Response {
    let (sqs, gate) = &*shared;
    let mut incoming = head(&request);
    if net::is_of_a_page(request.headers()) {
        let message = "Requests that pages make in a browser are not taken.";
        let refused = SqsError::new(Kind::AccessDenied, message);
        return response(sqs.refuse(&incoming, refused));
    }
    // What is held of the request counts until it is answered.
    let share = gate.budget.share();
    request.extensions_mut().insert(share.clone());
    let (head, body) = request.into_parts();
    let answered = match body::read_from(&head, body, MAX_SQS_REQUEST).await {
        Ok(read) => match gate.identify(&head, &read) {
            Ok(caller) => {
                incoming.body = read;
                sqs.answer(&incoming, &caller).await
            }
            Err(error) => sqs.refuse(&incoming, error),
        },
        Err(problem) => sqs.refuse(&incoming, refused(problem)),
    };
    drop(share);
    let response = response(answered);
    hold_back(response.status()).await;
    response
}

fn refused(problem: Problem) -> SqsError {
    let kind = match problem.code {
        Code::TooLarge => Kind::RequestTooLarge,
        Code::Busy => Kind::ServiceUnavailable,
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
        tls: matches!(
            request.extensions().get::<Peer>(),
            Some(Peer::Remote { secure: true, .. })
        ),
        from: request.extensions().get::<Peer>().map(Peer::to_string),
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
pub async fn serve_sqs_until(
    listening: Listening,
    sqs: Sqs,
    gate: SqsGate,
    stop: impl Future<Output = ()>,
) {
    let service = TowerToHyperService::new(sqs_router(sqs, gate));
    net::serve(listening, service, stop).await;
}
