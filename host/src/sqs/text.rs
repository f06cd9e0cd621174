//! Which characters and names are allowed.

use super::error::{Kind, SqsError};

/// The first characters of a text that are named when it is refused.
const FORBIDDEN: &str = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF";

/// Whether a character may stand in a body or a value: what XML 1.0 can say.
#[must_use]
pub fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Checks the characters of a body.
///
/// # Errors
/// When there is another.
pub fn check_body(body: &str) -> Result<(), SqsError> {
    if body.chars().all(is_allowed) {
        Ok(())
    } else {
        Err(SqsError::new(Kind::InvalidMessageContents, FORBIDDEN))
    }
}

/// Checks a group or a deduplication id: 1 to 128 letters, digits and punctuation of ASCII.
///
/// # Errors
/// When it is something else.
pub fn check_token(value: &str, name: &str) -> Result<(), SqsError> {
    let fits = (1..=128).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        return Ok(());
    }
    let reason = format!(
        "{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
    );
    Err(SqsError::value(value, name, &reason))
}

/// Checks the id of an entry of a batch.
///
/// # Errors
/// When it is not 1 to 80 letters, digits, hyphens and underscores.
pub fn check_entry_id(id: &str) -> Result<(), SqsError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=80).contains(&id.len()) && id.bytes().all(fits) {
        return Ok(());
    }
    Err(SqsError::new(
        Kind::InvalidBatchEntryId,
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
    ))
}
