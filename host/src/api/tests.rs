//! What `docs/envelope.md` says is what the code does.

use gristmill_queue::limits;

use super::MessageIn;

const DOCUMENT: &str = include_str!("../../../docs/envelope.md");

/// The cells of the row of a field.
fn row(field: &str) -> Vec<&'static str> {
    let found = DOCUMENT
        .lines()
        .find(|line| line.starts_with(&format!("| {field} |")));
    let row = found.unwrap_or_else(|| panic!("{field} has no row"));
    row.split('|').map(str::trim).skip(1).collect()
}

/// What stands between backticks in a column of the table, its head left out.
pub(crate) fn named_in(column: usize) -> Vec<&'static str> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| "));
    let cells = rows
        .skip(1)
        .filter_map(|row| row.split('|').nth(column + 1));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn the_limits_of_the_envelope_are_those_of_the_code() {
    let text = format!("1 to {} bytes", limits::MAX_ENVELOPE_FIELD);
    for field in [
        "content type",
        "group",
        "correlation id",
        "type",
        "schema version",
        "source",
        "dedup id",
    ] {
        assert_eq!(row(field)[1], text, "{field}");
    }
    let attributes = format!(
        "{}, of {} bytes together; a name has 1 to {} bytes and does not begin with `{}`",
        limits::MAX_ATTRIBUTES,
        limits::MAX_ATTRIBUTE_BYTES,
        limits::MAX_ATTRIBUTE_NAME,
        limits::RESERVED_ATTRIBUTE_PREFIX
    );
    assert_eq!(row("attributes")[1], attributes);
    let trace = format!(
        "{} bytes each; {} members",
        limits::MAX_ENVELOPE_FIELD,
        limits::MAX_TRACESTATE_MEMBERS
    );
    assert!(row("trace context")[1].ends_with(&trace));
    let body = format!("at most {} MiB", limits::MAX_BODY >> 20);
    assert!(row("body")[1].ends_with(&body));
}

#[test]
fn every_name_of_the_envelope_in_json_is_one_that_is_taken() {
    for name in named_in(2).into_iter().filter(|name| *name != "id") {
        // No field is a list: if it is known, the list is what is refused.
        let error = serde_json::from_str::<MessageIn>(&format!("{{\"{name}\":[]}}"));
        let error = error.expect_err(name).to_string();
        assert!(!error.contains("unknown field"), "{name}: {error}");
    }
}
