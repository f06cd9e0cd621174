//! The OpenAPI document, made from the table of routes and the types that they take and give.

mod parts;

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::table::{Gives, MakeSchema, Needs, Route, Takes};
use crate::api::{Code, ProblemJson};
use parts::{message_headers, path_parameter};

/// Where schemas with a name are.
const SCHEMAS: &str = "#/components/schemas/";

/// What is answered instead, whatever is asked, besides what its route can say.
const ALWAYS: [(u16, &str); 5] = [
    (408, "The request did not arrive in time."),
    (
        429,
        "Too much is asked, or the queue is full. `Retry-After` says when to try again.",
    ),
    (500, "The store failed, or a record is damaged."),
    (
        503,
        "The host is busy: try again after `Retry-After`. Or whether it was done is not known (`outcome-unknown`): repeat it with the same deduplication id.",
    ),
    (507, "The disk is full, or nearly."),
];

/// Makes the document of these routes.
pub(super) fn document(routes: &[Route]) -> Value {
    // What is asked is written out where it is asked; what is answered has names.
    let mut asking = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator();
    let mut answering = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    answering.subschema_for::<ProblemJson>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let operation = operation(route, &mut asking, &mut answering);
        let method = route.method.as_str().to_ascii_lowercase();
        paths
            .entry(route.path)
            .or_default()
            .insert(method, operation);
    }
    let mut schemas = answering.take_definitions(true);
    // A problem of a newer host is none of this one's.
    if let Some(Value::Object(code)) = schemas.get_mut("Code") {
        let codes = Code::ANSWERED.map(Code::as_str).to_vec();
        *code = match json!({ "type": "string", "description": "What kind of trouble it is; stable.", "enum": codes })
        {
            Value::Object(plain) => plain,
            _ => Map::new(),
        };
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gristmill",
            "description": "A durable message queue that runs its consumers itself, as sandboxed WebAssembly. Points in time are milliseconds since 1970 (`…_at_ms`); durations are texts such as `30s` or `1h 30m`.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token made with `gristmill token create`. Without `api.auth = \"token\"` none is wanted.",
                },
            },
            "schemas": schemas,
        },
    })
}

fn operation(
    route: &Route,
    asking: &mut SchemaGenerator,
    answering: &mut SchemaGenerator,
) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split(['{', '}'])
        .skip(1)
        .step_by(2)
        .map(path_parameter)
        .collect();
    if let Some(query) = route.query {
        parameters.extend(query_parameters(query, asking));
    }
    if matches!(route.takes, Takes::Message) {
        parameters.extend(message_headers());
    }
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "description": format!("Needs {}.", route.needs.words()),
        "responses": responses(route, answering),
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = request_body(route.takes, asking) {
        operation["requestBody"] = body;
    }
    if route.needs == Needs::Nothing {
        operation["security"] = json!([]);
    }
    operation
}

/// The fields of a type, as they stand behind the question mark.
fn query_parameters(query: MakeSchema, asking: &mut SchemaGenerator) -> Vec<Value> {
    let schema = query(asking).to_value();
    let fields = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema
            .as_object_mut()
            .and_then(|fields| fields.remove("description"));
        // One that is left out is not there; there is no null in an address.
        if let Some(kinds) = schema["type"].as_array() {
            let kind = kinds.iter().find(|kind| *kind != "null").cloned();
            schema["type"] = kind.unwrap_or_default();
        }
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    };
    fields.into_iter().map(parameter).collect()
}

fn request_body(takes: Takes, asking: &mut SchemaGenerator) -> Option<Value> {
    let any = json!({ "schema": {} });
    match takes {
        Takes::Nothing => None,
        Takes::Json(schema) => {
            let schema = schema(asking);
            Some(
                json!({ "required": true, "content": { "application/json": { "schema": schema } } }),
            )
        }
        Takes::Bytes => Some(json!({ "content": { "application/octet-stream": any } })),
        Takes::Message => Some(json!({
            "description": "The body of the message, as it is; its `Content-Type` is kept. An event of CloudEvents 1.0 is unpacked.",
            "content": {
                "application/octet-stream": any,
                "text/plain": any,
                "application/json": any,
            },
        })),
    }
}

fn responses(route: &Route, answering: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, gives) in &route.gives {
        let content = match gives {
            Gives::Nothing => None,
            Gives::Json(schema) => {
                Some(json!({ "application/json": { "schema": named(schema(answering)) } }))
            }
            Gives::AnyJson => Some(json!({ "application/json": { "schema": {} } })),
            Gives::Text => Some(json!({ "text/plain": { "schema": { "type": "string" } } })),
            Gives::Bytes => Some(json!({ "*/*": { "schema": {} } })),
        };
        let description = match status {
            201 => "It is done, and durable.",
            202 => "It is durable, and goes on.",
            204 => "It is done.",
            _ => "What was asked for.",
        };
        let mut response = json!({ "description": description });
        if let Some(content) = content {
            response["content"] = content;
        }
        responses.insert(status.to_string(), response);
    }
    for (status, description) in refusals(route) {
        responses.insert(
            status.to_string(),
            json!({
                "description": description,
                "content": { "application/problem+json": { "schema": { "$ref": format!("{SCHEMAS}ProblemJson") } } },
            }),
        );
    }
    responses
}

/// With which statuses a route may refuse.
fn refusals(route: &Route) -> Vec<(u16, &'static str)> {
    let mut refusals = ALWAYS.to_vec();
    let concerns = route.path.contains('{');
    let carries = !matches!(route.takes, Takes::Nothing);
    if concerns || carries || route.query.is_some() {
        refusals.push((
            400,
            "The request cannot be understood, or the message breaks a limit.",
        ));
    }
    if route.needs != Needs::Nothing {
        refusals.push((401, "A token is wanted, or this one is none that is good."));
    }
    refusals.push((
        403,
        "The token may not do this, or a page of another site asks.",
    ));
    if concerns || carries {
        refusals.push((404, "What it concerns is not there."));
        refusals.push((409, "Not in this state: the message is in flight, or dead."));
    }
    if carries {
        refusals.push((
            413,
            "The body is too large. It is refused before it is read.",
        ));
        refusals.push((415, "The body is of a type that is not taken here."));
        refusals.push((422, "No subscription of the topic matches."));
    }
    if route.query.is_some() && (carries || concerns) {
        refusals.push((502, "The request died in its queue."));
    }
    refusals.sort_unstable_by_key(|(status, _)| *status);
    refusals
}

fn named(schema: Schema) -> Value {
    schema.to_value()
}

#[cfg(test)]
mod tests;
