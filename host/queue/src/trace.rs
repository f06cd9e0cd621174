//! W3C Trace Context (Recommendation of 2021-11-23): what `traceparent` and `tracestate` may be.
//!
//! The host carries both on and reads neither. They are checked all the same, where a message comes
//! in: what is not of this shape would make the tracing of every receiver fail, each in its own way.

use crate::limits;

/// Why a trace context is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTrace {
    /// The `traceparent` is not of its form.
    #[error(
        "traceparent must be as W3C Trace Context says, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01: a version that is not ff, an id of the trace and one of the parent that are not all zeros, and flags, in lower-case hexadecimal"
    )]
    Parent,
    /// There is a `tracestate` but no `traceparent`.
    #[error("tracestate means nothing without traceparent: send both, or neither")]
    StateAlone,
    /// A member of the `tracestate` is not of its form.
    #[error(
        "tracestate must be a list of key=value with commas between, as W3C Trace Context says, but its member {0} is not"
    )]
    Member(usize),
    /// A key is given twice in the `tracestate`.
    #[error("tracestate must name each key once, but its member {0} names one again")]
    Twice(usize),
    /// The `tracestate` has too many members.
    #[error("tracestate has at most {limit} members", limit = limits::MAX_TRACESTATE_MEMBERS)]
    TooMany,
}

/// Checks a `traceparent`.
///
/// Later versions may append fields to those of version 00, which has exactly four.
///
/// # Errors
/// When it is not of the form that section 3.2 says.
pub fn check_parent(text: &str) -> Result<(), InvalidTrace> {
    let mut fields = text.split('-');
    let mut field = |length: usize| fields.next().filter(|field| is_hex(field, length));
    let (version, trace, parent, flags) = (field(2), field(32), field(16), field(2));
    let not_zero = |id: Option<&str>| id.is_some_and(|id| id.bytes().any(|b| b != b'0'));
    let known = match version {
        None | Some("ff") => false,
        Some("00") => fields.next().is_none(),
        Some(_) => true,
    };
    let sound = known && not_zero(trace) && not_zero(parent) && flags.is_some();
    sound.then_some(()).ok_or(InvalidTrace::Parent)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Checks a `tracestate`. Empty members and spaces around members are allowed, as section 3.3.1
/// says.
///
/// # Errors
/// When it is not of the form that section 3.3 says, with the number of the member, from 1.
pub fn check_state(text: &str) -> Result<(), InvalidTrace> {
    let mut keys: Vec<&str> = Vec::new();
    for (number, member) in (1..).zip(text.split(',')) {
        let member = member.trim_matches([' ', '\t']);
        if member.is_empty() {
            continue;
        }
        let (key, _) = member
            .split_once('=')
            .filter(|(key, value)| is_key(key) && is_value(value))
            .ok_or(InvalidTrace::Member(number))?;
        if keys.contains(&key) {
            return Err(InvalidTrace::Twice(number));
        }
        keys.push(key);
        if keys.len() > limits::MAX_TRACESTATE_MEMBERS {
            return Err(InvalidTrace::TooMany);
        }
    }
    Ok(())
}

/// A key: 1 to 256 of `a–z 0–9 _ - * /`, the first a letter; or the id of a tenant of up to 241 of
/// them, which may begin with a digit, `@`, and up to 14 for the system, which begins with a letter.
fn is_key(key: &str) -> bool {
    let part = |part: &str, most: usize, digit_first: bool| {
        let first = part.bytes().next();
        let begins =
            first.is_some_and(|b| b.is_ascii_lowercase() || (digit_first && b.is_ascii_digit()));
        let all = part
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'));
        begins && all && part.len() <= most
    };
    match key.split_once('@') {
        None => part(key, 256, false),
        Some((tenant, system)) => part(tenant, 241, true) && part(system, 14, false),
    }
}

/// A value: 1 to 256 printable ASCII characters but `,` and `=`; spaces at its end were trimmed.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value
            .bytes()
            .all(|b| matches!(b, b' '..=b'~') && b != b',' && b != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_of_the_form_that_w3c_says() {
        let longer = GOOD.replace("00-4", "cc-4") + "-what-the-future-brings";
        for good in [GOOD, &GOOD.replace("-01", "-ff"), &longer] {
            assert_eq!(check_parent(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "00",
            "00-1-2-01",
            &GOOD.to_uppercase(),
            &GOOD.replace("00-4", "ff-4"),
            &GOOD.replace("00-4", "0-4"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("4736-", "473-"),
            &GOOD.replace("4bf9", "4bfg"),
            &GOOD[..GOOD.len() - 1],
            &format!("{GOOD}-"),
            &format!("{GOOD}-more"),
            &format!(" {GOOD}"),
        ] {
            assert_eq!(check_parent(bad), Err(InvalidTrace::Parent), "{bad:?}");
        }
    }

    #[test]
    fn a_tracestate_is_a_list_of_up_to_32_keys_with_values() {
        let many = |count: usize| {
            let members: Vec<String> = (0..count).map(|i| format!("k{i}=v")).collect();
            members.join(",")
        };
        let long_key = format!("{}=v", "k".repeat(256));
        let tenant = format!("{}@{}=v", "1".repeat(241), "s".repeat(14));
        let long_value = format!("k={}", "v".repeat(256));
        for good in [
            "",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            " a=1 ,\tb=2,, c=3 4",
            "fw529a3039@dt=FfAz;x:y/~!",
            &many(32),
            &long_key,
            &tenant,
            &long_value,
        ] {
            assert_eq!(check_state(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("a", InvalidTrace::Member(1)),
            ("a=1,=2", InvalidTrace::Member(2)),
            ("a=", InvalidTrace::Member(1)),
            ("A=1", InvalidTrace::Member(1)),
            ("1a=1", InvalidTrace::Member(1)),
            ("a=1=2", InvalidTrace::Member(1)),
            ("a@=1", InvalidTrace::Member(1)),
            ("a@1=1", InvalidTrace::Member(1)),
            ("a=ü", InvalidTrace::Member(1)),
            ("a=1,b=2,a=3", InvalidTrace::Twice(3)),
            (&format!("k{long_key}"), InvalidTrace::Member(1)),
            (&format!("1{tenant}"), InvalidTrace::Member(1)),
            (&format!("{long_value}v"), InvalidTrace::Member(1)),
            (&many(33), InvalidTrace::TooMany),
        ] {
            assert_eq!(check_state(bad), Err(why), "{bad:?}");
        }
    }
}
