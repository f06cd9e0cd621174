//! Parts of what is shown of one message in full, alive or dead.

use std::fmt::Write as _;

use super::print::{Column, Screen};
use super::text;
use crate::api::view::AttemptView;

/// Ended attempts, as a table.
pub fn attempts(history: &[AttemptView], screen: Screen) -> String {
    let mut rows = screen.table(&[
        Column::Number("no"),
        Column::Words("started"),
        Column::Words("took"),
        Column::Words("cpu"),
        Column::Number("peak memory"),
        Column::Words("outcome"),
        Column::Words("module"),
        Column::Words("error"),
    ]);
    for attempt in history {
        rows.add([
            attempt.attempt.to_string(),
            text::time(attempt.started_at_ms),
            text::micros(attempt.wall_us),
            text::micros(attempt.cpu_us),
            text::size(attempt.peak_memory_bytes),
            text::line(&attempt.reason),
            text::line(if attempt.module.is_empty() {
                "-"
            } else {
                &attempt.module
            }),
            text::preview(&attempt.error, 80),
        ]);
    }
    rows.text()
}

/// A part with a title of its own.
pub fn section(out: &mut String, title: &str, text: &str) {
    let _ = write!(out, "\n{title}\n");
    if text.contains(['│', '┌']) {
        // A table has borders of its own.
        let _ = writeln!(out, "{text}");
        return;
    }
    for line in text.trim_end_matches('\n').lines() {
        let blanks = if line.is_empty() { "" } else { "  " };
        let _ = writeln!(out, "{blanks}{line}");
    }
}
