//! The one form in which a request is signed.

use http::request::Parts;

use super::SigError;
use super::parse::Place;

/// The forms in which clients sign this path; the first is the one that it came in.
pub(super) fn paths(raw: &str) -> Vec<String> {
    let raw = if raw.is_empty() { "/" } else { raw };
    let once = encoded(&decoded(raw.as_bytes()), true);
    let twice = encoded(raw.as_bytes(), true);
    let plain = encoded(without_dots(raw).as_bytes(), true);
    different(vec![raw.to_owned(), once, twice, plain])
}

/// The forms in which clients sign this query.
pub(super) fn queries(raw: &str, place: Place) -> Vec<String> {
    let signature = |name: &[u8]| place == Place::Query && name == b"X-Amz-Signature";
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    let mut as_it_is: Vec<(&str, &str)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| !signature(name.as_bytes()))
        .collect();
    as_it_is.sort_unstable();
    let as_it_is: Vec<String> = as_it_is.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let mut anew: Vec<(String, String)> = decoded_pairs(raw)
        .filter(|(name, _)| !signature(name))
        .map(|(name, value)| (encoded(&name, false), encoded(&value, false)))
        .collect();
    anew.sort_unstable();
    let anew: Vec<String> = anew.iter().map(|(n, v)| format!("{n}={v}")).collect();
    different(vec![anew.join("&"), as_it_is.join("&")])
}

/// The signed headers, each in a line, and an empty line.
pub(super) fn headers(head: &Parts, signed: &[String]) -> Result<String, SigError> {
    let mut text = String::new();
    for name in signed {
        let mut values = Vec::new();
        for value in head.headers.get_all(name) {
            // What is not UTF-8 is signed as it is by nobody.
            let value = std::str::from_utf8(value.as_bytes())
                .map_err(|_| SigError::Incomplete(format!("header {name} is not UTF-8")))?;
            values.push(value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        }
        if values.is_empty() {
            return Err(SigError::Incomplete(format!(
                "header {name} is signed, but not there"
            )));
        }
        text.push_str(name);
        text.push(':');
        text.push_str(&values.join(","));
        text.push('\n');
    }
    Ok(text)
}

/// Names and values of a query, decoded. A plus is a plus here: AWS encodes spaces as %20.
pub(super) fn decoded_pairs(query: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name.as_bytes()), decoded(value.as_bytes()))
    })
}

fn different(mut forms: Vec<String>) -> Vec<String> {
    let mut at = 0;
    while at < forms.len() {
        let repeated = forms[..at].contains(&forms[at]);
        if repeated {
            forms.remove(at);
        } else {
            at += 1;
        }
    }
    forms
}

fn encoded(bytes: &[u8], path: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if plain || (path && byte == b'/') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        if bytes[at] == b'%'
            && let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2))
            && let Ok(byte) = u8::try_from(high * 16 + low)
        {
            plain.push(byte);
            at += 3;
        } else {
            plain.push(bytes[at]);
            at += 1;
        }
    }
    plain
}

/// A path with `.`, `..` and empty steps taken out.
fn without_dots(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    let end = if path.ends_with('/') && !steps.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", steps.join("/"))
}
