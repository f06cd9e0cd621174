//! A handler of requests, which does what the body of its message asks for. It knows `wasi:http` and nothing
//! of this host.
//!
//! | body | what it does |
//! |---|---|
//! | `answer STATUS TEXT` | answers so |
//! | `later SECONDS TEXT` | answers 503 with `Retry-After` |
//! | `headers` | answers with the request line and all headers, one a line |
//! | `print TEXT` | answers 200, and prints the text |
//! | `fetch` | asks elsewhere, and answers 502 with what came of it |
//! | `nothing` | returns without a response |
//! | `refuse TEXT` | gives an error instead of a response |
//! | `half` | leaves the body of its response unfinished |
//! | `trap` | fails after it has answered |
//! | `flood` | answers with a body that has no end |
//! | `hoard` | makes headers, and keeps them |

#![cfg(target_family = "wasm")]
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be answered as it was asked for is a failure to be seen"
)]

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse,
    ResponseOutparam,
};
use wasip2::io::streams::StreamError;

struct Webhook;

wasip2::http::proxy::export!(Webhook);

impl Guest for Webhook {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let body = read(&request);
        let (verb, rest) = body.split_once(' ').unwrap_or((&body, ""));
        match verb {
            "answer" => {
                let (status, text) = rest.split_once(' ').unwrap_or((rest, ""));
                answer(out, status.parse().unwrap(), &[], text);
            }
            "later" => {
                let (seconds, text) = rest.split_once(' ').unwrap_or((rest, ""));
                answer(out, 503, &[("retry-after", seconds)], text);
            }
            "headers" => answer(
                out,
                200,
                &[
                    ("content-type", "text/plain"),
                    ("gristmill-type", "seen"),
                    ("gristmill-attr-kind", "headers"),
                ],
                &known(&request),
            ),
            "print" => {
                println!("{rest}");
                eprintln!("{rest}");
                answer(out, 200, &[], "");
            }
            "fetch" => answer(out, 502, &[], &fetch()),
            "nothing" => {}
            "refuse" => {
                let error = ErrorCode::InternalError(Some(rest.to_owned()));
                ResponseOutparam::set(out, Err(error));
            }
            "half" => {
                let response = OutgoingResponse::new(Fields::new());
                let body = response.body().unwrap();
                ResponseOutparam::set(out, Ok(response));
                let stream = body.write().unwrap();
                stream.blocking_write_and_flush(b"half of").unwrap();
            }
            "trap" => {
                answer(out, 200, &[], "");
                panic!("too late");
            }
            "flood" => flood(out),
            "hoard" => {
                let long = vec![b'x'; 64 * 1024];
                let made = || Fields::from_list(&[("x-long".to_owned(), long.clone())]).unwrap();
                let kept: Vec<Fields> = (0..900).map(|_| made()).collect();
                answer(out, 200, &[], &kept.len().to_string());
            }
            other => answer(out, 400, &[], &format!("there is no verb {other:?}")),
        }
    }
}

fn read(request: &IncomingRequest) -> String {
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(1024) {
            Ok(part) => all.extend(part),
            Err(StreamError::Closed) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    String::from_utf8(all).unwrap()
}

fn answer(out: ResponseOutparam, status: u16, headers: &[(&str, &str)], text: &str) {
    let entries = headers.iter();
    let entries = entries.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    let headers = Fields::from_list(&entries.collect::<Vec<_>>()).unwrap();
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    for part in text.as_bytes().chunks(4096) {
        stream.blocking_write_and_flush(part).unwrap();
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

fn known(request: &IncomingRequest) -> String {
    let mut known = format!(
        "{:?} {:?} {} {}\n",
        request.method(),
        request.scheme().unwrap(),
        request.authority().unwrap(),
        request.path_with_query().unwrap()
    );
    for (name, value) in request.headers().entries() {
        known.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    known
}

fn fetch() -> String {
    let request = OutgoingRequest::new(Fields::new());
    request.set_authority(Some("example.com")).unwrap();
    match outgoing_handler::handle(request, None) {
        Ok(_) => "it is on its way".to_owned(),
        Err(error) => format!("no answer: {error:?}"),
    }
}

fn flood(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    loop {
        stream.blocking_write_and_flush(&[b'x'; 4096]).unwrap();
    }
}
