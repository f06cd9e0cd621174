//! What a request says about its own signature: in `Authorization`, or in its address.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::request::Parts;
use jiff::Timestamp;
use jiff::fmt::{rfc2822, strtime};

use super::canonical::decoded_pairs;
use super::{MAX_EXPIRES, MAX_SKEW, SigError, mac};
use crate::auth::access::{hex, unhex};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// The most headers that may be signed.
const MAX_SIGNED: usize = 100;
/// What decides about a request has to be signed, if it is there.
const MUST_BE_SIGNED: [&str; 3] = ["x-amz-date", "x-amz-security-token", "x-amz-target"];

/// Where the signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    Query,
}

/// What a request says about its own signature.
#[derive(Debug)]
pub(super) struct Claim {
    pub place: Place,
    pub key: String,
    date: String,
    pub region: String,
    pub service: String,
    pub signed_headers: Vec<String>,
    pub signature: [u8; 32],
    at: Timestamp,
    /// Of one in the address.
    expires: Option<Duration>,
}

fn incomplete(detail: impl Into<String>) -> SigError {
    SigError::Incomplete(detail.into())
}

/// The parts of it as texts.
#[derive(Default)]
struct Parted {
    credential: Option<String>,
    signed_headers: Option<String>,
    signature: Option<String>,
    date: Option<String>,
    expires: Option<String>,
}

impl Claim {
    pub fn read(head: &Parts) -> Result<Self, SigError> {
        let in_header = head.headers.get(http::header::AUTHORIZATION);
        let query = head.uri.query().unwrap_or_default();
        let in_query = query.contains("X-Amz-Signature=");
        let (place, parted) = match (in_header, in_query) {
            (Some(value), false) => {
                let text = value
                    .to_str()
                    .map_err(|_| incomplete("Authorization is not ASCII"))?;
                (Place::Header, in_authorization(text, head)?)
            }
            (None, true) => (Place::Query, in_address(query)?),
            (None, false) => return Err(SigError::Missing),
            (Some(_), true) => {
                return Err(incomplete(
                    "the request is signed twice: in Authorization and in its address",
                ));
            }
        };
        let missing =
            |what: &str| incomplete(format!("Authorization header requires '{what}' parameter."));
        let credential = parted.credential.ok_or_else(|| missing("Credential"))?;
        let headers = parted
            .signed_headers
            .ok_or_else(|| missing("SignedHeaders"))?;
        let signature = parted.signature.ok_or_else(|| missing("Signature"))?;
        let date = parted.date.ok_or_else(|| {
            incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        })?;
        let mut steps = credential.split('/');
        let scope: Vec<&str> = steps.by_ref().collect();
        let [key, day, region, service, "aws4_request"] = scope[..] else {
            return Err(incomplete(
                "Credential should be KEY/DATE/REGION/SERVICE/aws4_request",
            ));
        };
        let claim = Claim {
            place,
            key: key.to_owned(),
            date: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers: signed_headers(&headers, head)?,
            signature: unhex(&signature)
                .ok_or_else(|| incomplete("Signature is not 64 hexadecimal digits"))?,
            at: time(&date).ok_or_else(|| {
                incomplete("the date of the signature is none: write it as 20250830T123600Z")
            })?,
            expires: parted.expires.map(|text| lasts(&text)).transpose()?,
        };
        if claim.stamp()[..8] != claim.date {
            return Err(incomplete(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
            ));
        }
        Ok(claim)
    }

    fn stamp(&self) -> String {
        shown(self.at)
    }

    /// Whether it was signed now, or is still good.
    pub fn check_time(&self, now: SystemTime) -> Result<(), SigError> {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_second(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
            .unwrap_or(Timestamp::MAX);
        let apart = now.as_second().abs_diff(self.at.as_second());
        let early = self.at > now;
        if let Some(lasts) = self.expires.filter(|_| !early) {
            if apart <= lasts.as_secs() {
                return Ok(());
            }
            let until = self.at.as_second().saturating_add_unsigned(lasts.as_secs());
            return Err(SigError::Expired {
                until: shown(Timestamp::from_second(until).unwrap_or(Timestamp::MAX)),
                now: shown(now),
            });
        }
        if apart <= MAX_SKEW.as_secs() {
            return Ok(());
        }
        Err(SigError::Skewed {
            signed: self.stamp(),
            now: shown(now),
        })
    }

    /// What signs, of a secret, for this day, region and service.
    pub fn signing_key(&self, secret: &str) -> [u8; 32] {
        let day = mac(format!("AWS4{secret}").as_bytes(), self.date.as_bytes());
        let region = mac(&day, self.region.as_bytes());
        let service = mac(&region, self.service.as_bytes());
        mac(&service, b"aws4_request")
    }

    pub fn string_to_sign(&self, canonical_request: &str) -> String {
        format!(
            "{ALGORITHM}\n{}\n{}/{}/{}/aws4_request\n{}",
            self.stamp(),
            self.date,
            self.region,
            self.service,
            hex(&Sha256::digest(canonical_request))
        )
    }
}

fn in_authorization(text: &str, head: &Parts) -> Result<Parted, SigError> {
    let Some(rest) = text.trim().strip_prefix(ALGORITHM) else {
        return Err(incomplete(format!(
            "Authorization is not {ALGORITHM}: other signatures are not taken"
        )));
    };
    let mut parted = Parted::default();
    for part in rest
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let Some((name, value)) = part.split_once('=') else {
            return Err(incomplete(format!("{part:?} is no part of Authorization")));
        };
        let slot = match name {
            "Credential" => &mut parted.credential,
            "SignedHeaders" => &mut parted.signed_headers,
            "Signature" => &mut parted.signature,
            _ => continue,
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(incomplete(format!("{name} is given twice")));
        }
    }
    let given = ["x-amz-date", "date"].map(|name| head.headers.get(name));
    let given = given.into_iter().flatten().next();
    parted.date = given.and_then(|date| date.to_str().ok()).map(str::to_owned);
    Ok(parted)
}

fn in_address(query: &str) -> Result<Parted, SigError> {
    let mut parted = Parted::default();
    let mut algorithm = None;
    for (name, value) in decoded_pairs(query) {
        let slot = match name.as_slice() {
            b"X-Amz-Algorithm" => &mut algorithm,
            b"X-Amz-Credential" => &mut parted.credential,
            b"X-Amz-SignedHeaders" => &mut parted.signed_headers,
            b"X-Amz-Signature" => &mut parted.signature,
            b"X-Amz-Date" => &mut parted.date,
            b"X-Amz-Expires" => &mut parted.expires,
            _ => continue,
        };
        let name = String::from_utf8_lossy(&name).into_owned();
        let value =
            String::from_utf8(value).map_err(|_| incomplete(format!("{name} is not text")))?;
        if slot.replace(value).is_some() {
            return Err(incomplete(format!("{name} is given twice")));
        }
    }
    if algorithm.as_deref() != Some(ALGORITHM) {
        return Err(incomplete(format!("X-Amz-Algorithm is not {ALGORITHM}")));
    }
    // AWS wants it; clients of other makes leave it away, and mean as long as a header is good.
    parted
        .expires
        .get_or_insert_with(|| MAX_SKEW.as_secs().to_string());
    Ok(parted)
}

fn signed_headers(text: &str, head: &Parts) -> Result<Vec<String>, SigError> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    if names.len() > MAX_SIGNED {
        return Err(incomplete(format!(
            "SignedHeaders names more than {MAX_SIGNED}"
        )));
    }
    let good = |name: &String| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase());
    if !names.iter().all(good) || !names.is_sorted() {
        return Err(incomplete(
            "SignedHeaders are to be in lower case and in order",
        ));
    }
    let signed = |wanted: &str| names.iter().any(|name| name == wanted);
    if !signed("host") {
        return Err(incomplete(
            "'Host' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    for name in MUST_BE_SIGNED {
        if head.headers.contains_key(name) && !signed(name) {
            return Err(incomplete(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    Ok(names)
}

fn lasts(text: &str) -> Result<Duration, SigError> {
    let most = MAX_EXPIRES.as_secs();
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (1..=most).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| incomplete(format!("X-Amz-Expires is not 1 to {most} seconds")))
}

/// A date as AWS writes it, or as HTTP does.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(parsed) = strtime::parse(STAMP, text)
        && let Ok(time) = parsed.to_datetime()
    {
        return time
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp());
    }
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

fn shown(time: Timestamp) -> String {
    time.strftime(STAMP).to_string()
}
