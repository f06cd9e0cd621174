use std::collections::BTreeSet;
use std::path::Path;

use axum::http::{HeaderMap, HeaderName, Method};

use super::*;
use crate::http::routes::routes;

/// Set to write the document anew instead of comparing it.
const UPDATE: &str = "UPDATE_EXAMPLE";

/// Compares a file of the documents with what it should be, or writes it.
fn hold(document: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(document);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, made).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "docs/{document} is stale: run this test with {UPDATE}=1"
    );
}

#[test]
fn the_document_in_the_repository_is_the_one_that_is_served() {
    let made = serde_json::to_string_pretty(&document(&routes())).unwrap();
    hold("openapi.json", &format!("{made}\n"));
}

#[test]
fn the_table_of_routes_in_the_documents_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http-api.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- routes: begin -->\n", "<!-- routes: end -->\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut table = String::from("| request | what it does | needs |\n|---|---|---|\n");
    for route in routes() {
        table.push_str(&format!(
            "| `{} {}` | {} | {} |\n",
            route.method,
            route.path,
            route.summary,
            route.needs.words()
        ));
    }
    hold(
        "http-api.md",
        &format!("{before}{begin}\n{table}\n{end}{after}"),
    );
}

#[test]
fn every_problem_stands_in_the_documents_with_its_status() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http-api.md");
    let text = std::fs::read_to_string(path).unwrap();
    for code in Code::ANSWERED {
        let row = format!("| {} | `{}` |", code.status(), code.as_str());
        assert!(text.contains(&row), "{row}");
    }
}

#[test]
fn every_route_says_what_it_is_for_and_what_it_gives() {
    let mut names = BTreeSet::new();
    for route in routes() {
        assert!(names.insert(route.name), "{} is there twice", route.name);
        assert!(route.summary.ends_with('.'), "{}", route.name);
        assert!(!route.gives.is_empty(), "{}", route.name);
        let changes = route.method != Method::GET;
        let carries = !matches!(route.takes, Takes::Nothing);
        assert!(changes || !carries, "{}", route.name);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document(&routes());
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut found = 0;
    for rest in text.split("\"$ref\":\"").skip(1) {
        let name = rest
            .split('"')
            .next()
            .unwrap()
            .strip_prefix(SCHEMAS)
            .unwrap();
        assert!(schemas.contains_key(name), "{name}");
        found += 1;
    }
    assert!(found > 100, "{found}");
}

#[test]
fn every_header_of_the_document_is_read() {
    for header in message_headers() {
        let name = header["name"].as_str().unwrap();
        let mut headers = HeaderMap::new();
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name.clone(), "?".parse().unwrap());
        // Whatever it says: it is taken, or refused for what it says.
        if let Ok(message) = crate::http::headers::message(&headers) {
            assert_ne!(message, gristmill_queue::NewMessage::default(), "{name}");
        }
    }
}
