//! The table of routes: for each an address, what it needs, what it takes and gives, and who serves it.
//!
//! The router and the OpenAPI document are both made from it. There is no way to add a route that
//! says not what it needs.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::gate::SharedGate;
use super::guard::{Guard, guard};
use crate::api::{Api, Problem};
use crate::auth::{Action, Denied, Identity, authorize};

/// What somebody has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: it is for everybody who can connect.
    Nothing,
    /// A good token, whatever it is for.
    Token,
    /// This, with the queue in the address.
    Queue(Action),
    /// This, with the queues that the request turns out to concern: the route sees to that.
    Found(Action),
    /// One of these, with the queues that the request turns out to concern.
    FoundEither(Action, Action),
    /// This, with all queues.
    All(Action),
}

impl Needs {
    pub fn action(self) -> Option<Action> {
        match self {
            Needs::Nothing | Needs::Token => None,
            Needs::Queue(action)
            | Needs::Found(action)
            | Needs::FoundEither(action, _)
            | Needs::All(action) => Some(action),
        }
    }

    /// In words, for the document.
    pub fn words(self) -> String {
        match self {
            Needs::Nothing => "no token".to_owned(),
            Needs::Token => "any token".to_owned(),
            Needs::Queue(action) => format!("`{action}` with the queue"),
            Needs::Found(action) => format!("`{action}` with the queues concerned"),
            Needs::FoundEither(one, other) => {
                format!("`{one}` or `{other}` with the queues concerned")
            }
            Needs::All(action) => format!("`{action}` with all queues"),
        }
    }

    pub fn check(self, identity: &Identity, queue: Option<&str>) -> Result<(), Problem> {
        match self {
            Needs::Nothing | Needs::Token => Ok(()),
            Needs::Queue(action) => {
                // Without a queue in the address it takes all of them.
                Ok(authorize(identity, action, queue)?)
            }
            Needs::FoundEither(_, other) if identity.scopes.has(other) => Ok(()),
            Needs::Found(action) | Needs::FoundEither(action, _) if identity.scopes.has(action) => {
                Ok(())
            }
            Needs::Found(action) | Needs::FoundEither(action, _) => Err(Denied::Action {
                who: identity.who.clone(),
                action,
                scopes: identity.scopes,
            }
            .into()),
            Needs::All(action) => Ok(authorize(identity, action, None)?),
        }
    }
}

/// Makes the schema of a type.
pub(super) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What all routes have; one for all requests, since an [`Api`] has many parts to share.
pub(super) type SharedApi = Arc<Api>;

/// What a request carries.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// Nothing.
    Nothing,
    /// JSON of this form.
    Json(MakeSchema),
    /// A message: any bytes, with headers about it.
    Message,
    /// Any bytes.
    Bytes,
}

/// What an answer carries.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    /// Nothing.
    Nothing,
    /// JSON of this form.
    Json(MakeSchema),
    /// A text.
    Text,
    /// The body of a message, as it was sent.
    Bytes,
    /// JSON of any form.
    AnyJson,
}

/// A route.
pub(super) struct Route {
    pub method: Method,
    pub path: &'static str,
    pub name: &'static str,
    pub needs: Needs,
    pub summary: &'static str,
    pub query: Option<MakeSchema>,
    pub takes: Takes,
    pub gives: Vec<(u16, Gives)>,
    serve: MethodRouter<SharedApi>,
}

macro_rules! method {
    ($($name:ident $filter:ident),*) => {
        $(pub(super) fn $name<H, T>(path: &'static str, name: &'static str, needs: Needs, serve: H) -> Route
        where
            H: Handler<T, SharedApi>,
            T: 'static,
        {
            Route {
                method: Method::$filter,
                path,
                name,
                needs,
                summary: "",
                query: None,
                takes: Takes::Nothing,
                gives: Vec::new(),
                serve: on(MethodFilter::$filter, serve),
            }
        })*
    };
}

method!(get GET, post POST, put PUT, delete DELETE);

impl Route {
    /// What it is for, in a sentence.
    pub fn says(self, summary: &'static str) -> Self {
        Route { summary, ..self }
    }

    /// What stands behind the question mark.
    pub fn asks<T: JsonSchema>(self) -> Self {
        Route {
            query: Some(schema_of::<T>),
            ..self
        }
    }

    /// It takes JSON.
    pub fn takes<T: JsonSchema>(self) -> Self {
        self.carrying(Takes::Json(schema_of::<T>))
    }

    pub fn carrying(self, takes: Takes) -> Self {
        Route { takes, ..self }
    }

    /// It answers with JSON.
    pub fn gives<T: JsonSchema>(self, status: u16) -> Self {
        self.giving(status, Gives::Json(schema_of::<T>))
    }

    pub fn giving(mut self, status: u16, gives: Gives) -> Self {
        self.gives.push((status, gives));
        self
    }
}

/// Makes the router: each route behind its guard.
pub(super) fn router(routes: Vec<Route>, gate: &SharedGate) -> Router<SharedApi> {
    routes.into_iter().fold(Router::new(), |router, route| {
        let state = Guard {
            gate: gate.clone(),
            needs: route.needs,
            name: route.name,
        };
        // Only of what it serves: a wrong method is told so by the fallback.
        let serve = route.serve.route_layer(from_fn_with_state(state, guard));
        router.route(route.path, serve)
    })
}
