//! Bodies of messages, as a person can read them.

use std::fmt::Write as _;

use bytes::Bytes;

use super::text;
use crate::api::message::Body;

/// Bytes shown of a body that is not text.
const MAX_DUMPED: usize = 256;
/// Bytes on one line of a dump.
const WIDTH: usize = 16;
/// Characters of a body that stand in a list.
const MAX_PREVIEW: usize = 60;

/// In place of a body that is not shown.
pub const ELSEWHERE: &str = "(too large to be shown here: `gristmill show ID --body` writes it)";

/// The body of an answer in full, or where it is to be had.
pub fn shown(body: &Body, omitted: bool) -> String {
    if omitted {
        return ELSEWHERE.to_owned();
    }
    // What cannot be decoded was checked when it was made.
    full(&body.clone().into_bytes().unwrap_or_default())
}

/// The body of an answer on one short line.
pub fn previewed(body: &Body, omitted: bool) -> String {
    if omitted {
        return "(large)".to_owned();
    }
    preview(&body.clone().into_bytes().unwrap_or_default())
}

/// A body on one short line.
pub fn preview(body: &Bytes) -> String {
    match std::str::from_utf8(body) {
        Ok("") => "(empty)".to_owned(),
        Ok(body) => text::preview(body, MAX_PREVIEW),
        Err(_) => format!("({} of binary)", text::size(body.len() as u64)),
    }
}

/// A body in full: JSON indented, text as it is, anything else as the beginning of a hex dump.
pub fn full(body: &Bytes) -> String {
    let Ok(text) = std::str::from_utf8(body) else {
        return dump(body);
    };
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    indented(text).unwrap_or_else(|| text::lines(text))
}

/// Only objects and lists are JSON to a person; a number is as readable as it is.
fn indented(text: &str) -> Option<String> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    // Only parsed, not decoded, so that the order of keys and the digits of numbers stay.
    let _: serde::de::IgnoredAny = serde_json::from_str(text).ok()?;
    Some(text::lines(&indent(text)))
}

/// Indents JSON that is known to be sound.
fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    let mut rest = json.chars().peekable();
    while let Some(c) = rest.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(close) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                out.push(c);
                quoted = c == '"';
            }
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(64)));
}

fn dump(body: &[u8]) -> String {
    let mut out = String::new();
    for (row, bytes) in body[..body.len().min(MAX_DUMPED)].chunks(WIDTH).enumerate() {
        let mut hex = String::new();
        for byte in bytes {
            let _ = write!(hex, "{byte:02x} ");
        }
        let shown: String = bytes
            .iter()
            .map(|&byte| {
                if byte.is_ascii_graphic() || byte == b' ' {
                    char::from(byte)
                } else {
                    '.'
                }
            })
            .collect();
        let _ = writeln!(out, "{:06x}  {hex:<48} {shown}", row * WIDTH);
    }
    if body.len() > MAX_DUMPED {
        let _ = writeln!(
            out,
            "… and {} more bytes; --json has all",
            body.len() - MAX_DUMPED
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ESCAPE: char = '\u{1b}';

    #[test]
    fn json_is_indented_and_otherwise_unchanged() {
        let body =
            Bytes::from_static(br#"{"b":1.50,"a":["x, \"y\" {",[],{ }],"n":12345678901234567890}"#);
        let expected = r#"{
  "b": 1.50,
  "a": [
    "x, \"y\" {",
    [],
    {}
  ],
  "n": 12345678901234567890
}"#;
        assert_eq!(full(&body), expected);
    }

    #[test]
    fn text_stays_and_binary_is_dumped() {
        assert_eq!(full(&Bytes::from_static(b"a\nb\x1b[0m")), "a\nb\\u{1b}[0m");
        assert_eq!(full(&Bytes::from_static(b"{not json")), "{not json");
        assert_eq!(full(&Bytes::new()), "(empty)");
        let dumped = full(&Bytes::from_static(b"\xffabcdefghijklmnop\x00"));
        assert_eq!(
            dumped,
            "000000  ff 61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f  .abcdefghijklmno\n\
             000010  70 00                                            p.\n"
        );
        let long = full(&vec![0xffu8; 300].into());
        assert!(
            long.ends_with("… and 44 more bytes; --json has all\n"),
            "{long}"
        );
    }

    #[test]
    fn previews_are_short() {
        assert_eq!(preview(&Bytes::from_static(b"a\nb")), "a\\nb");
        assert_eq!(preview(&Bytes::from_static(b"\xff\xfe")), "(2 B of binary)");
        assert_eq!(preview(&Bytes::new()), "(empty)");
        assert!(preview(&"x".repeat(1000).into()).chars().count() <= MAX_PREVIEW + 1);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            ".{0,8}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn indenting_keeps_the_meaning(value in json()) {
            let pretty = indent(&value.to_string());
            prop_assert_eq!(&indent(&serde_json::to_string_pretty(&value).unwrap()), &pretty);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&pretty).unwrap(), value);
        }

        #[test]
        fn any_body_can_be_shown(body: Vec<u8>) {
            let body = Bytes::from(body);
            prop_assert!(!full(&body).contains(ESCAPE));
            prop_assert!(!preview(&body).contains(ESCAPE));
        }
    }
}
