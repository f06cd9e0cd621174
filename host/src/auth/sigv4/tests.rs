//! Signatures that others made: botocore's (`vectors.json`), and those that AWS has published.

use std::time::{Duration, SystemTime};

use http::Request;
use serde::Deserialize;

use super::*;
use crate::auth::tests::{key_file, scopes};
use crate::auth::{Action, Queues};

const VECTORS: &str = include_str!("vectors.json");
/// 2015-08-30T12:36:00Z
const SIGNED_AT: u64 = 1_440_938_160;

#[derive(Deserialize)]
struct Vectors {
    key: String,
    secret: String,
    region: String,
    requests: Vec<Vector>,
}

#[derive(Clone, Deserialize)]
struct Vector {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(SIGNED_AT.saturating_add_signed(seconds))
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).unwrap()
}

fn access() -> (tempfile::TempDir, Access) {
    let Vectors { key, secret, .. } = vectors();
    key_file(&key, &secret, &[Action::Send])
}

impl Vector {
    fn named(name: &str) -> Self {
        let all = vectors().requests;
        all.into_iter().find(|one| one.name == name).unwrap()
    }

    fn verify(&self, access: &Access, now: SystemTime) -> Result<Signed, SigError> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        access.sigv4(&head, self.body.as_bytes(), now)
    }

    fn change(&mut self, header: &str, change: impl Fn(&str) -> String) {
        let value = self.headers.iter_mut().find(|(name, _)| name == header);
        let value = &mut value.unwrap().1;
        let changed = change(value);
        assert_ne!(*value, changed);
        *value = changed;
    }
}

#[test]
fn what_botocore_signs_is_taken() {
    let (_folder, access) = access();
    let Vectors {
        key,
        region,
        requests,
        ..
    } = vectors();
    assert_eq!(requests.len(), 10);
    for vector in requests {
        let signed = vector
            .verify(&access, at(3))
            .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!((&signed.key, &signed.region), (&key, &region));
        let service = if vector.name == "sts" { "sts" } else { "sqs" };
        assert_eq!(signed.service, service);
        assert_eq!(signed.identity.scopes, scopes(&[Action::Send]));
        assert_eq!(signed.identity.queues, Queues::all());
    }
}

/// From the test suite of Signature Version 4, and from the guide (the `ListUsers` of IAM).
#[test]
fn what_aws_has_published_is_taken() {
    let (_folder, access) = access();
    let vector = |target: &str, headers: &[(&str, &str)]| Vector {
        name: target.to_owned(),
        method: "GET".to_owned(),
        target: target.to_owned(),
        headers: headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
        body: String::new(),
    };
    let vanilla = vector(
        "/",
        &[
            ("Host", "example.amazonaws.com"),
            ("X-Amz-Date", "20150830T123600Z"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
        ],
    );
    let list_users = vector(
        "/?Action=ListUsers&Version=2010-05-08",
        &[
            ("Host", "iam.amazonaws.com"),
            (
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("X-Amz-Date", "20150830T123600Z"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ],
    );
    for vector in [vanilla, list_users] {
        vector
            .verify(&access, at(0))
            .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
    }
}

#[test]
fn nothing_of_a_signed_request_can_be_changed() {
    let (_folder, access) = access();
    let json = Vector::named("json");
    let mut wrong = vec![
        Vector {
            body: json.body.replace("grün", "rot"),
            ..json.clone()
        },
        Vector {
            method: "PUT".to_owned(),
            ..json.clone()
        },
        Vector {
            target: "/other".to_owned(),
            ..json.clone()
        },
        Vector {
            target: "/?a=1".to_owned(),
            ..json.clone()
        },
    ];
    for (header, value) in [
        ("Host", "evil:9324"),
        ("X-Amz-Target", "AmazonSQS.PurgeQueue"),
        ("Content-Type", "text/plain"),
    ] {
        let mut vector = json.clone();
        vector.change(header, |_| value.to_owned());
        wrong.push(vector);
    }
    let mut query = Vector::named("presigned");
    query.target = query.target.replace("orders", "invoices");
    wrong.push(query);
    for vector in wrong {
        let error = vector.verify(&access, at(0)).unwrap_err();
        assert!(
            matches!(error, SigError::Mismatch),
            "{}: {error}",
            vector.target
        );
        assert_eq!(
            (error.code(), error.status()),
            ("SignatureDoesNotMatch", 403)
        );
    }
}

#[test]
fn no_flipped_bit_of_a_signature_is_taken() {
    let (_folder, access) = access();
    let vector = Vector::named("form");
    for bit in 0..256 {
        let mut flipped = vector.clone();
        flipped.change("Authorization", |value| {
            let (head, signature) = value.split_at(value.len() - 64);
            let mut bytes: [u8; 32] = crate::auth::access::unhex(signature).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            format!("{head}{}", hex(&bytes))
        });
        let error = flipped.verify(&access, at(0)).unwrap_err();
        assert!(matches!(error, SigError::Mismatch), "bit {bit}: {error}");
    }
}

#[test]
fn a_quarter_of_an_hour_apart_is_taken_and_more_is_not() {
    let (_folder, access) = access();
    let get = Vector::named("get");
    for seconds in [-900, 0, 900] {
        get.verify(&access, at(seconds)).unwrap();
    }
    for seconds in [-901, 901, 86_400] {
        let error = get.verify(&access, at(seconds)).unwrap_err();
        assert!(
            matches!(error, SigError::Skewed { .. }),
            "{seconds}: {error}"
        );
        assert!(error.to_string().contains("20150830T123600Z"), "{error}");
    }
    // One in an address is good for as long as it says: ten minutes.
    let presigned = Vector::named("presigned");
    for seconds in [-900, 0, 600] {
        presigned.verify(&access, at(seconds)).unwrap();
    }
    let late = presigned.verify(&access, at(601)).unwrap_err();
    assert!(matches!(late, SigError::Expired { .. }), "{late}");
    let early = presigned.verify(&access, at(-901)).unwrap_err();
    assert!(matches!(early, SigError::Skewed { .. }), "{early}");
}

#[test]
fn what_is_not_signed_or_not_wholly_is_told_apart() {
    let (_folder, access) = access();
    let get = Vector::named("get");
    let mut unsigned = get.clone();
    unsigned.headers.retain(|(name, _)| name != "Authorization");
    let error = unsigned.verify(&access, at(0)).unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        ("MissingAuthenticationToken", 403)
    );
    let mut stranger = get.clone();
    stranger.change("Authorization", |value| {
        value.replace("AKIDEXAMPLE", "AKIDSTRANGER")
    });
    let error = stranger.verify(&access, at(0)).unwrap_err();
    assert_eq!(
        (error.code(), error.exception()),
        ("InvalidClientTokenId", "UnrecognizedClientException")
    );
    for (change, words) in [
        ((" Signature=", " Sig="), "Signature"),
        (("host;x-amz-date", "x-amz-date"), "Host"),
        (("host;x-amz-date", "x-amz-date;host"), "in order"),
        (("host;x-amz-date", "host"), "x-amz-date"),
        (("host;x-amz-date", "absent;host;x-amz-date"), "absent"),
        (("/aws4_request", "/aws3_request"), "Credential"),
        (("20150830/", "20150831/"), "Date in Credential scope"),
        (("Signature=0b", "Signature=zz"), "hexadecimal"),
        (
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            "other signatures",
        ),
        (("SignedHeaders", "Credential"), "twice"),
    ] {
        let mut wrong = get.clone();
        wrong.change("Authorization", |value| value.replace(change.0, change.1));
        let error = wrong.verify(&access, at(0)).unwrap_err();
        assert!(
            matches!(error, SigError::Incomplete(_)),
            "{change:?}: {error:?}"
        );
        assert!(error.to_string().contains(words), "{change:?}: {error}");
        assert_eq!((error.code(), error.status()), ("IncompleteSignature", 400));
    }
    // A target that was put in afterwards is not signed.
    let mut added = get;
    added
        .headers
        .push(("X-Amz-Target".to_owned(), "AmazonSQS.PurgeQueue".to_owned()));
    assert!(matches!(
        added.verify(&access, at(0)),
        Err(SigError::Incomplete(_))
    ));
    for (hash, mismatch) in [
        ("UNSIGNED-PAYLOAD", false),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", false),
        (
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b856",
            true,
        ),
    ] {
        let mut other = Vector::named("form");
        other
            .headers
            .push(("X-Amz-Content-Sha256".to_owned(), hash.to_owned()));
        let error = other.verify(&access, at(0)).unwrap_err();
        assert_eq!(
            matches!(error, SigError::Mismatch),
            mismatch,
            "{hash}: {error}"
        );
    }
}

#[test]
fn whatever_stands_in_a_header_nothing_panics() {
    let (_folder, access) = access();
    let get = Vector::named("get");
    let authorization = get.headers.last().unwrap().1.clone();
    for cut in 0..authorization.len() {
        let mut wrong = get.clone();
        wrong.change("Authorization", |value| value[..cut].to_owned());
        wrong.verify(&access, at(0)).unwrap_err();
    }
    for date in [
        "",
        "2015",
        "99999999T999999Z",
        "20150830T123600",
        "Sun, 30 Aug 2015 12:36:00 GMT",
    ] {
        let mut wrong = get.clone();
        wrong.change("X-Amz-Date", |_| date.to_owned());
        wrong.verify(&access, at(0)).unwrap_err();
    }
    for query in [
        "%",
        "%zz",
        "a=%f",
        "&&=&",
        "X-Amz-Signature=",
        "X-Amz-Signature=%00%ff&X-Amz-Date=%ff",
    ] {
        let mut wrong = get.clone();
        wrong.target = format!("/?{query}");
        wrong.verify(&access, at(0)).unwrap_err();
    }
}
