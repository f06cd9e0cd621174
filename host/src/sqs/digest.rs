//! The MD5 sums that clients compare with their own: of a body, and of attributes.
//!
//! They are there to notice damage on the way; nothing is trusted because of them.

use md5::{Digest as _, Md5};

use super::attribute::{MessageAttribute, Value};

/// The sum of a body.
#[must_use]
pub fn of_body(body: &str) -> String {
    in_hex(&Md5::digest(body.as_bytes()))
}

/// The sum of attributes: by name, each part with its length in front. `None` if there are none.
#[must_use]
pub fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = &'a MessageAttribute>,
) -> Option<String> {
    let mut sorted: Vec<&MessageAttribute> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut sum = Md5::new();
    for attribute in sorted {
        part(&mut sum, attribute.name.as_bytes());
        part(&mut sum, attribute.data_type.as_bytes());
        match &attribute.value {
            Value::Text(text) => {
                sum.update([1]);
                part(&mut sum, text.as_bytes());
            }
            Value::Bytes(bytes) => {
                sum.update([2]);
                part(&mut sum, bytes);
            }
        }
    }
    Some(in_hex(&sum.finalize()))
}

fn part(sum: &mut Md5, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    sum.update(length.to_be_bytes());
    sum.update(bytes);
}

/// Bytes as small hexadecimal digits.
#[must_use]
pub fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
