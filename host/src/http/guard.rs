//! What stands before every route: who asks, whether they may, how often, and what is written down.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::gate::{SharedGate, TooOften};
use super::limits::HELD_BACK;
use super::table::Needs;
use crate::api::{Code, Problem};
use crate::auth::{Action, Identity, Queues, Scopes, authorize};
use crate::net::Peer;

/// What is known of a route before it is served.
#[derive(Clone)]
pub(super) struct Guard {
    pub gate: SharedGate,
    pub needs: Needs,
    pub name: &'static str,
}

/// Who asks; for routes that find out only later which queues are concerned.
#[derive(Clone)]
pub(super) struct Caller(Arc<Identity>);

impl Caller {
    /// Whether they may do this with that queue or topic.
    pub fn check(&self, action: Action, queue: &str) -> Result<(), Problem> {
        Ok(authorize(&self.0, action, Some(queue))?)
    }

    /// Whether they may do this with all there are.
    pub fn check_all(&self, action: Action) -> Result<(), Problem> {
        Ok(authorize(&self.0, action, None)?)
    }

    /// Whether something of this queue is to be shown to them.
    pub fn may(&self, action: Action, queue: &str) -> bool {
        self.0.may(action, queue)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Caller>().cloned();
        // Without a guard in front nobody may do anything.
        Ok(known.unwrap_or_else(|| {
            Caller(Arc::new(Identity {
                who: "nobody".to_owned(),
                scopes: Scopes::default(),
                queues: Queues::default(),
            }))
        }))
    }
}

/// Lets a request through, or says why not.
pub(super) async fn guard(
    State(guard): State<Guard>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let found = request.extensions().get::<Peer>().copied();
    let peer = found.unwrap_or(Peer::Local { uid: None });
    let queue = params.iter().find(|(name, _)| *name == "queue");
    let queue = queue.map(|(_, value)| value.to_owned());
    let share = guard.gate.budget.share();
    request.extensions_mut().insert(share.clone());
    let identity = match guard.admit(&request, peer, queue.as_deref()) {
        Ok(identity) => identity,
        Err(refusal) => {
            guard.note_refusal(&refusal, peer, queue.as_deref());
            return *refusal;
        }
    };
    request
        .extensions_mut()
        .insert(Caller(Arc::clone(&identity)));
    let response = next.run(request).await;
    // What was held for the request is free again when it is answered.
    drop(share);
    if guard.needs != Needs::Nothing {
        hold_back(response.status()).await;
    }
    if guard.needs.action() == Some(Action::Manage) {
        let status = response.status().as_u16();
        note(guard.name, &identity.who, peer, queue.as_deref(), status);
    }
    response
}

impl Guard {
    fn admit(
        &self,
        request: &Request,
        peer: Peer,
        queue: Option<&str>,
    ) -> Result<Arc<Identity>, Box<Response>> {
        let gate = &self.gate;
        let refuse = |problem: Problem| Box::new(problem.into_response());
        gate.count().map_err(too_often)?;
        gate.check_site(request.headers()).map_err(refuse)?;
        if self.needs == Needs::Nothing {
            gate.count_stranger(peer).map_err(too_often)?;
            return Ok(gate.anybody());
        }
        let identity = match gate.identify(request.headers(), peer) {
            Ok(identity) => identity,
            Err(problem) => {
                gate.count_stranger(peer).map_err(too_often)?;
                return Err(refuse(problem));
            }
        };
        gate.count_of(&identity, peer).map_err(too_often)?;
        self.needs.check(&identity, queue).map_err(refuse)?;
        Ok(identity)
    }

    /// An attempt to manage something is written down too.
    fn note_refusal(&self, refusal: &Response, peer: Peer, queue: Option<&str>) {
        if self.needs.action() == Some(Action::Manage) {
            let status = refusal.status().as_u16();
            note(self.name, "not let in", peer, queue, status);
        }
    }
}

/// Whoever is turned away because the host has too much to do, and asks again at once, should not take the
/// processor from those who are answered. They are answered one by one, and not all at once, when the time of
/// many of them is up.
pub(super) async fn hold_back(status: StatusCode) {
    static TURNED_AWAY: AtomicU32 = AtomicU32::new(0);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let number = TURNED_AWAY.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(held_back(number)).await;
    }
}

/// For how long: from half to one and a half times [`HELD_BACK`], spread evenly whatever the number.
fn held_back(number: u32) -> Duration {
    // What a number times the golden ratio has behind the point is far from that of its neighbours.
    const GOLDEN: u32 = 0x9E37_79B9;
    let part = number.wrapping_mul(GOLDEN) >> 22;
    HELD_BACK / 2 + HELD_BACK * part / (1 << 10)
}

/// A line for the record: who did what to which queue, from where, and what came of it.
fn note(what: &str, who: &str, peer: Peer, queue: Option<&str>, status: u16) {
    // What stands in an address may be anything; the name of a queue is plain.
    let plain = |name: &&str| gristmill_queue::QueueName::new(name).is_ok();
    let queue = queue.map_or("-", |name| if plain(&name) { name } else { "?" });
    tracing::info!(target: "audit", who, from = %peer, what, queue, status, "audit");
}

fn too_often(TooOften(seconds): TooOften) -> Box<Response> {
    let detail = format!(
        "more is asked than `api.rate` or `api.rate_per_client` allows: try again in {seconds} s"
    );
    let mut response = Problem::new(Code::RateLimited, detail).into_response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    Box::new(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_are_turned_away_come_again_one_by_one() {
        let mut times: Vec<Duration> = (7..7 + 100).map(held_back).collect();
        times.sort_unstable();
        let (first, last) = (times[0], times[99]);
        assert!(first >= HELD_BACK / 2 && last <= HELD_BACK * 3 / 2);
        let widest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest.unwrap() < HELD_BACK / 30, "{widest:?}");
    }
}
