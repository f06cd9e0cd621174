//! A response → what becomes of the message.
//!
//! | status | the message |
//! |---|---|
//! | 2xx | is acknowledged; the body is the reply |
//! | 408, 425, 429, 5xx | comes again, after `Retry-After` if that is there |
//! | any other 4xx | is rejected |
//! | anything else | comes again: it says neither |

use gristmill_queue::NewMessage;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::fields::Fields;
use super::request::{ATTRIBUTE, EVENT, unescaped};
use crate::runtime::bindings::http::wasi::http::types::ErrorCode;
use crate::runtime::bindings::queue::gristmill::queue::types::{DelayedRetry, Failure};
use crate::runtime::forms::{Broken, Handled, descend, reply, words_of};
use crate::runtime::instance::Sandbox;

/// Bytes of a body that are the reason of a failure.
const MAX_REASON: usize = 1024;

/// A response that is whole.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Fields,
    pub(super) body: bytes::Bytes,
}

/// Settles the message of the delivery in the store.
pub(super) fn judge(response: Response, sandbox: &mut Sandbox) -> wasmtime::Result<Handled> {
    let failed = failure(&response, Timestamp::now());
    match failed {
        Some(failure) => Ok(Err(failure)),
        None => send_reply(response, sandbox).map(Ok),
    }
}

/// What a response means that is no success.
fn failure(response: &Response, now: Timestamp) -> Option<Failure> {
    let said = words(response);
    Some(match response.status {
        200..=299 => return None,
        408 | 425 | 429 | 500..=599 => match delay(response, now) {
            Some(delay) => Failure::RetryAfter(DelayedRetry {
                reason: said,
                delay,
            }),
            None => Failure::Retry(said),
        },
        400..=499 => Failure::Reject(said),
        _ => Failure::Retry(format!(
            "{said}; that is neither yes nor no: answer 2xx to acknowledge, 4xx to reject, 5xx to have it again"
        )),
    })
}

/// The status and the beginning of the body.
fn words(response: &Response) -> String {
    let status = response.status;
    let start = &response.body[..response.body.len().min(MAX_REASON)];
    let text = String::from_utf8_lossy(start);
    let known = http::StatusCode::from_u16(status).ok();
    let name = known.and_then(|status| status.canonical_reason());
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    match text.trim_end_matches('\u{fffd}').trim() {
        "" => format!("answered {status}{name}"),
        text => format!("answered {status}{name}: {text}"),
    }
}

/// Milliseconds to wait, if the response says so in a way that can be read.
fn delay(response: &Response, now: Timestamp) -> Option<u64> {
    let value = response.headers.first("retry-after")?;
    retry_after(std::str::from_utf8(value).ok()?.trim(), now)
}

/// RFC 9110, 10.2.3: seconds, or a date in any of the three forms of 5.6.7.
fn retry_after(value: &str, now: Timestamp) -> Option<u64> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        let seconds: u64 = value.parse().unwrap_or(u64::MAX);
        return Some(seconds.saturating_mul(1000));
    }
    let wait = date(value)?.as_millisecond() - now.as_millisecond();
    Some(u64::try_from(wait).unwrap_or(0))
}

fn date(value: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let found = FORMS
        .iter()
        .find_map(|form| DateTime::strptime(form, value).ok())?;
    Some(found.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// What a failure instead of a response means.
pub(super) fn refused(error: &ErrorCode) -> Failure {
    let shown = format!("{error:?}");
    let name = shown.trim_start_matches("ErrorCode::");
    let name = name.split(['(', ' ']).next().unwrap_or_default();
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.push(c.to_ascii_lowercase());
    }
    Failure::Retry(match error {
        ErrorCode::InternalError(Some(text)) => format!("answered with {words}: {text}"),
        _ => format!("answered with {words} instead of a response"),
    })
}

/// Sends the body to whoever wants an answer.
fn send_reply(response: Response, sandbox: &mut Sandbox) -> wasmtime::Result<()> {
    let message = sandbox.call()?.messages.only();
    let wanted = message.is_some_and(|message| message.envelope.reply_to.is_some());
    // 204 and 205 say that there is no content, so there is no reply either.
    if !wanted || matches!(response.status, 204 | 205) {
        return Ok(());
    }
    if !sandbox.shared.spec.grants.reply {
        let handler = &*sandbox.shared.handler;
        let told = format!(
            "a message asks for a reply, and this handler may give none, so the body of its response is \
             dropped: add `reply = true` to [handler.{handler}]"
        );
        if sandbox.output.may_log(told.len()) {
            tracing::warn!(handler, "{told}");
        }
        return Ok(());
    }
    let mut message = message_of(response);
    descend(sandbox, &mut message)?;
    let length = message.body.len();
    reply(sandbox, message)?.map_err(|error| {
        Broken::limit(format!(
            "its response of {length} bytes cannot be the reply: {}",
            words_of(&error)
        ))
    })
}

/// The reply that a response is, said as the API has it.
fn message_of(response: Response) -> NewMessage {
    let mut message = NewMessage {
        body: response.body,
        ..NewMessage::default()
    };
    let envelope = &mut message.envelope;
    for (name, value) in response.headers.entries() {
        let value = String::from_utf8_lossy(value);
        match &**name {
            "content-type" => envelope.content_type = Some(value.into_owned()),
            "gristmill-type" => envelope.message_type = Some(value.into_owned()),
            "gristmill-schema-version" => envelope.schema_version = Some(value.into_owned()),
            "gristmill-correlation-id" => envelope.correlation_id = Some(value.into_owned()),
            _ if name.starts_with(EVENT) => {
                envelope.attributes.push((name.clone(), unescaped(&value)));
            }
            _ => {
                if let Some(attribute) = name.strip_prefix(ATTRIBUTE) {
                    let pair = (attribute.to_owned(), value.into_owned());
                    envelope.attributes.push(pair);
                }
            }
        }
    }
    if envelope.message_type.is_none() {
        envelope.message_type = envelope.attribute("ce-type").map(str::to_owned);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "1994-11-06T08:49:00Z";

    fn response(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response {
        let entries = headers.iter();
        let entries = entries.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Response {
            status,
            headers: Fields::received(entries.collect()),
            body: body.into(),
        }
    }

    #[test]
    fn the_status_decides() {
        let meaning = |status| match failure(&response(status, &[], ""), NOW.parse().unwrap()) {
            None => "ack",
            Some(Failure::Retry(_) | Failure::RetryAfter(_)) => "retry",
            Some(Failure::Reject(_)) => "reject",
            Some(Failure::Postpone(_)) => "postpone",
        };
        for (statuses, expected) in [
            (&[200, 201, 202, 204, 299][..], "ack"),
            (&[408, 425, 429, 500, 502, 503, 504, 599], "retry"),
            (&[400, 401, 403, 404, 409, 410, 413, 422, 499], "reject"),
            (&[100, 103, 199, 301, 303, 304, 399, 600, 999], "retry"),
        ] {
            for status in statuses {
                assert_eq!(meaning(*status), expected, "{status}");
            }
        }
    }

    #[test]
    fn the_reason_is_the_status_and_the_body() {
        let reason = |status, body| match failure(&response(status, &[], body), Timestamp::now()) {
            Some(Failure::Retry(text) | Failure::Reject(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(503, ""), "answered 503 Service Unavailable");
        assert_eq!(
            reason(422, " no cents\n"),
            "answered 422 Unprocessable Entity: no cents"
        );
        assert_eq!(reason(499, "odd"), "answered 499: odd");
        assert!(reason(303, "").contains("303 See Other; that is neither yes nor no"));
        let long: &str = Box::leak("ü".repeat(2000).into_boxed_str());
        assert_eq!(reason(500, long).matches('ü').count(), MAX_REASON / 2);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_in_any_of_its_forms() {
        let table = [
            ("0", Some(0)),
            ("120", Some(120_000)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37_000)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37_000)),
            ("Sun Nov  6 08:49:37 1994", Some(37_000)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Mon, 06 Nov 1994 08:49:37 GMT", None),
        ];
        for (value, expected) in table {
            let found = retry_after(value, NOW.parse().unwrap());
            assert_eq!(found, expected, "{value:?}");
        }
        let waits = |status| {
            let response = response(status, &[("retry-after", " 7 ")], "");
            match failure(&response, Timestamp::now()) {
                Some(Failure::RetryAfter(retry)) => Some(retry.delay),
                _ => None,
            }
        };
        assert_eq!(waits(429), Some(7000));
        assert_eq!((waits(404), waits(303)), (None, None));
    }

    #[test]
    fn a_failure_instead_of_a_response_has_the_standards_name() {
        let text = |error| match refused(&error) {
            Failure::Retry(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            text(ErrorCode::ConnectionReadTimeout),
            "answered with connection-read-timeout instead of a response"
        );
        assert_eq!(
            text(ErrorCode::HttpResponseBodySize(Some(3))),
            "answered with http-response-body-size instead of a response"
        );
        assert_eq!(
            text(ErrorCode::InternalError(Some("no ink".to_owned()))),
            "answered with internal-error: no ink"
        );
    }

    #[test]
    fn what_the_headers_of_a_response_say_is_said_of_the_reply() {
        let message = message_of(response(
            200,
            &[
                ("content-type", "text/plain"),
                ("ce-type", "order.priced"),
                ("ce-subject", "gr%C3%BCn"),
                ("gristmill-attr-tenant", "a"),
                ("gristmill-schema-version", "2"),
                ("server", "x"),
            ],
            "7",
        ));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let envelope = message.envelope;
        assert_eq!(&*message.body, b"7");
        assert_eq!(envelope.content_type.as_deref(), Some("text/plain"));
        assert_eq!(envelope.message_type.as_deref(), Some("order.priced"));
        assert_eq!(envelope.schema_version.as_deref(), Some("2"));
        assert_eq!(
            envelope.attributes,
            [
                pair("ce-type", "order.priced"),
                pair("ce-subject", "grün"),
                pair("tenant", "a")
            ]
        );
    }
}
