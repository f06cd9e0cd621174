//! Signature Version 4 of AWS: whether a request was signed with an access key of this host.
//!
//! The rules are those of "Signature Version 4 for API requests" (AWS Identity and Access Management
//! User Guide), as clients really apply them: paths are accepted as they are, encoded once or twice,
//! since clients do not agree; exactly what was signed still has to match. The body is always covered:
//! `UNSIGNED-PAYLOAD` and signed streams are refused.

mod canonical;
mod parse;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::access::{Access, hex};
use super::file::AccessError;
use super::identity::Identity;
use parse::{Claim, Place};

/// How far the clock of a client may be from this one.
pub const MAX_SKEW: Duration = Duration::from_secs(15 * 60);
/// For how long a signature in an address may be good.
pub const MAX_EXPIRES: Duration = Duration::from_secs(7 * 86_400);

/// A request that was signed by somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Who.
    pub identity: Arc<Identity>,
    /// The access key id.
    pub key: String,
    /// The region it was signed for.
    pub region: String,
    /// The service it was signed for.
    pub service: String,
}

/// Why a request is not taken as signed. [`SigError::code`] is what AWS calls it.
#[derive(Debug, thiserror::Error)]
pub enum SigError {
    /// It is not signed at all.
    #[error("Request is missing Authentication Token")]
    Missing,
    /// A part of the signature is not there, or not as it should be.
    #[error("{0}")]
    Incomplete(String),
    /// The access key is not known here.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// It was signed too long ago, or is to be signed only later.
    #[error(
        "Signature expired: {signed} is not within 15 minutes of {now}; check the clock of the client"
    )]
    Skewed {
        /// When it says it was signed.
        signed: String,
        /// What time it is here.
        now: String,
    },
    /// The signature in the address was good for less long.
    #[error("Signature expired: the address was good until {until}, and it is {now}")]
    Expired {
        /// Until when it was good.
        until: String,
        /// What time it is here.
        now: String,
    },
    /// It is signed, but not so with this key.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
    /// Which keys there are cannot be said.
    #[error("{0}")]
    Unavailable(Arc<AccessError>),
}

impl SigError {
    /// The code in the Query protocol.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            SigError::Missing => "MissingAuthenticationToken",
            SigError::Incomplete(_) => "IncompleteSignature",
            SigError::UnknownKey => "InvalidClientTokenId",
            SigError::Skewed { .. } | SigError::Expired { .. } | SigError::Mismatch => {
                "SignatureDoesNotMatch"
            }
            SigError::Unavailable(_) => "ServiceUnavailable",
        }
    }

    /// The name of the exception in the JSON protocol.
    #[must_use]
    pub fn exception(&self) -> &'static str {
        match self {
            SigError::Missing => "MissingAuthenticationTokenException",
            SigError::Incomplete(_) => "IncompleteSignatureException",
            SigError::UnknownKey => "UnrecognizedClientException",
            SigError::Skewed { .. } | SigError::Expired { .. } | SigError::Mismatch => {
                "InvalidSignatureException"
            }
            SigError::Unavailable(_) => "ServiceUnavailable",
        }
    }

    /// The status that goes with it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            SigError::Incomplete(_) => 400,
            SigError::Unavailable(_) => 503,
            _ => 403,
        }
    }
}

impl Access {
    /// Who signed a request. `body` is all of it; `head` is the request as it came, its address neither
    /// decoded nor shortened.
    ///
    /// # Errors
    /// When nobody did who is known, or not so, or not now.
    pub fn sigv4(&self, head: &Parts, body: &[u8], now: SystemTime) -> Result<Signed, SigError> {
        let claim = Claim::read(head)?;
        claim.check_time(now)?;
        let key = self.key(&claim.key, now).map_err(SigError::Unavailable)?;
        let (identity, secret) = key.ok_or(SigError::UnknownKey)?;
        let payload = payload_hash(head, &claim, body)?;
        let signing_key = claim.signing_key(&secret);
        let headers = canonical::headers(head, &claim.signed_headers)?;
        let mut matches = subtle::Choice::from(0);
        for path in canonical::paths(head.uri.path()) {
            for query in canonical::queries(head.uri.query().unwrap_or_default(), claim.place) {
                let request = [
                    head.method.as_str(),
                    &path,
                    &query,
                    &headers,
                    &claim.signed_headers.join(";"),
                    &payload,
                ];
                let signature = mac(
                    &signing_key,
                    claim.string_to_sign(&request.join("\n")).as_bytes(),
                );
                matches |= signature.ct_eq(&claim.signature);
            }
        }
        if !bool::from(matches) {
            return Err(SigError::Mismatch);
        }
        Ok(Signed {
            identity,
            key: claim.key,
            region: claim.region,
            service: claim.service,
        })
    }
}

/// What stands for the body in what was signed. A hash that the client gives has to be that of the body:
/// then the body is what it signed.
fn payload_hash(head: &Parts, claim: &Claim, body: &[u8]) -> Result<String, SigError> {
    let hash = hex(&Sha256::digest(body));
    let Some(given) = head.headers.get("x-amz-content-sha256") else {
        return Ok(hash);
    };
    if claim.place == Place::Query || given.as_bytes().eq_ignore_ascii_case(hash.as_bytes()) {
        return Ok(hash);
    }
    if given.len() != hash.len() {
        return Err(SigError::Incomplete(
            "x-amz-content-sha256 is not the SHA-256 of the body: unsigned bodies and signed streams are not taken".to_owned(),
        ));
    }
    Err(SigError::Mismatch)
}

/// HMAC-SHA-256.
fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(text);
    mac.finalize().into_bytes().into()
}
