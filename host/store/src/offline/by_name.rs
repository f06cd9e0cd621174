//! Rows under names that nothing else refers to.

use super::report::{HARMLESS, Problem, RESCUE};
use super::walk::Pair;
use crate::{cron, made, state};

/// Looks at how far an entry of the crontab has come.
pub(super) fn cron_row(found: Pair<'_>) -> Result<(), Box<Problem>> {
    let name = std::str::from_utf8(found.key).unwrap_or("");
    if cron::decode(name, found.value).is_ok() {
        return Ok(());
    }
    let what = "how far the cron entry has come is damaged: it starts anew";
    Err(Box::new(Problem::of("cron", name, what, HARMLESS)))
}

/// Looks at the definition of a queue that was made at run time.
pub(super) fn made_row(found: Pair<'_>) -> Result<(), Box<Problem>> {
    let name = std::str::from_utf8(found.key).unwrap_or("");
    if made::decode(name, found.value).is_ok() {
        return Ok(());
    }
    let what = "the definition of a queue that was made at run time is damaged: its messages wait until it is made again";
    Err(Box::new(Problem::of("made", name, what, HARMLESS)))
}

/// Looks at a value of a handler.
pub(super) fn state_row(found: Pair<'_>) -> Result<(), Box<Problem>> {
    if state::is_sound(found.key, found.value) {
        return Ok(());
    }
    let key = String::from_utf8_lossy(found.key).replace('\0', " ");
    let what = "a value of a handler is damaged";
    Err(Box::new(Problem::of("state", key, what, RESCUE)))
}
