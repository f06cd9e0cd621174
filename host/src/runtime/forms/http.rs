//! A handler of requests: the message is a POST, and the status of the response decides.
//!
//! There is no network, and no HTTP on a wire: requests and responses are resources of `wasi:http`, and this
//! is all of that interface that a handler meets. It is of the version 0.2; a component of any 0.2.x fits.
//! Where the standard has the host trap because the parts of a resource are dropped after the whole, nothing
//! happens here.

pub(in crate::runtime) mod body;
pub(in crate::runtime) mod fields;
pub(in crate::runtime) mod outgoing;
mod request;
mod response;

use std::sync::Arc;

use bytes::Bytes;
use gristmill_queue::Reason;
use wasmtime::Store;
use wasmtime::component::Resource;

use self::body::{Incoming, IncomingBody, OutgoingBody, Room, Written};
use self::fields::Fields;
use self::response::{Response, judge, refused};
use super::{Broken, Handled};
use crate::runtime::bindings::http::exports::wasi::http::incoming_handler::Guest;
use crate::runtime::bindings::http::wasi::http::types::{
    self, ErrorCode, HostIncomingRequest, HostOutgoingResponse, HostResponseOutparam, Method,
    Scheme,
};
use crate::runtime::instance::Sandbox;

/// The path of every request: which queue a message came from stands in a header.
const PATH: &str = "/";
/// The host that a request seems to be for. Nobody is there.
const AUTHORITY: &str = "localhost";
/// What the limit of what is held calls requests that came, and responses.
const CAME: &str = "requests";
const WHAT: &str = "responses";

/// The request that a message is.
pub struct IncomingRequest {
    headers: Fields,
    body: Option<Incoming>,
}

/// The place for the response to it.
pub struct ResponseOutparam {
    of: u64,
}

/// A response that is being made.
pub struct OutgoingResponse {
    status: u16,
    headers: Fields,
    body: Written,
}

/// One request and its response.
#[derive(Default)]
pub(in crate::runtime) struct Exchange {
    /// Which of the instance it is: a handler that is reused may have kept the place of one before.
    number: u64,
    came: Option<Incoming>,
    /// In a box, because guests of other forms carry the room for it around.
    answer: Option<Box<Result<OutgoingResponse, ErrorCode>>>,
    room: Option<Arc<Room>>,
}

/// Calls the handler with the message in the store.
pub(in crate::runtime) async fn call(
    handler: &Guest,
    store: &mut Store<Sandbox>,
) -> wasmtime::Result<Handled> {
    let (request, out) = store.data_mut().open()?;
    handler.call_handle(&mut *store, request, out).await?;
    let sandbox = store.data_mut();
    if let Some(came) = sandbox.exchange.came.take() {
        came.forget();
    }
    match sandbox.exchange.answer.take().map(|answer| *answer) {
        None => Err(broken(
            "returned without a response: every request needs one, given to `response-outparam.set`",
        )),
        Some(Err(error)) => Ok(Err(refused(&error))),
        Some(Ok(answer)) => {
            sandbox.hold(answer.headers.size(), 0, WHAT)?;
            let Some(body) = answer.body.take() else {
                return Err(broken(
                    "returned before the body of its response was whole: write all of it, and then call \
                     `outgoing-body.finish`",
                ));
            };
            let (status, headers) = (answer.status, answer.headers);
            let response = Response {
                status,
                headers,
                body,
            };
            judge(response, sandbox)
        }
    }
}

/// A rule of the interface that a guest broke.
fn broken(text: &str) -> wasmtime::Error {
    wasmtime::Error::new(Broken {
        reason: Reason::Trap,
        text: text.to_owned(),
    })
}

impl Sandbox {
    /// Begins an exchange with the message of the delivery.
    fn open(
        &mut self,
    ) -> wasmtime::Result<(Resource<IncomingRequest>, Resource<ResponseOutparam>)> {
        let most = self.shared.spec.limits.effects.max_send_bytes;
        let exchange = &mut self.exchange;
        exchange.number += 1;
        exchange.answer = None;
        exchange.room.get_or_insert_with(|| Room::new(most));
        let number = exchange.number;
        let call = self.call()?;
        let (headers, body) = match call.messages.only() {
            Some(message) => (request::headers(message, call), message.body.clone()),
            None => (Vec::new(), Bytes::new()),
        };
        let (headers, body) = (Fields::received(headers), Incoming::new(body));
        self.hold(0, headers.size(), CAME)?;
        self.exchange.came = Some(body.clone());
        let request = self.table.push(IncomingRequest {
            headers,
            body: Some(body),
        })?;
        Ok((request, self.table.push(ResponseOutparam { of: number })?))
    }
}

impl types::Host for Sandbox {
    fn http_error_code(
        &mut self,
        _error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl HostIncomingRequest for Sandbox {
    fn method(&mut self, _request: Resource<IncomingRequest>) -> wasmtime::Result<Method> {
        Ok(Method::Post)
    }

    fn path_with_query(
        &mut self,
        _request: Resource<IncomingRequest>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(Some(PATH.to_owned()))
    }

    fn scheme(&mut self, _request: Resource<IncomingRequest>) -> wasmtime::Result<Option<Scheme>> {
        Ok(Some(Scheme::Http))
    }

    fn authority(
        &mut self,
        _request: Resource<IncomingRequest>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(Some(AUTHORITY.to_owned()))
    }

    fn headers(
        &mut self,
        request: Resource<IncomingRequest>,
    ) -> wasmtime::Result<Resource<Fields>> {
        let view = self.table.get(&request)?.headers.view();
        self.push_fields(view)
    }

    fn consume(
        &mut self,
        request: Resource<IncomingRequest>,
    ) -> wasmtime::Result<Result<Resource<IncomingBody>, ()>> {
        match self.table.get_mut(&request)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(IncomingBody(Some(body)))?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, request: Resource<IncomingRequest>) -> wasmtime::Result<()> {
        let request = self.table.delete(request)?;
        self.hold(request.headers.size(), 0, CAME)
    }
}

impl HostResponseOutparam for Sandbox {
    /// A word in between, such as 103, which nobody hears.
    fn send_informational(
        &mut self,
        _out: Resource<ResponseOutparam>,
        status: u16,
        headers: Resource<Fields>,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.take_fields(headers)?;
        Ok(match status {
            100..=199 => Ok(()),
            _ => Err(ErrorCode::HttpProtocolError),
        })
    }

    fn set(
        &mut self,
        out: Resource<ResponseOutparam>,
        answer: Result<Resource<OutgoingResponse>, ErrorCode>,
    ) -> wasmtime::Result<()> {
        let of = self.table.delete(out)?.of;
        if of != self.exchange.number {
            return match answer {
                Ok(response) => HostOutgoingResponse::drop(self, response),
                Err(_) => Ok(()),
            };
        }
        let answer = match answer {
            Ok(response) => Ok(self.table.delete(response)?),
            Err(error) => Err(error),
        };
        self.exchange.answer = Some(Box::new(answer));
        Ok(())
    }

    fn drop(&mut self, out: Resource<ResponseOutparam>) -> wasmtime::Result<()> {
        self.table.delete(out)?;
        Ok(())
    }
}

impl HostOutgoingResponse for Sandbox {
    fn new(&mut self, headers: Resource<Fields>) -> wasmtime::Result<Resource<OutgoingResponse>> {
        let headers = self.take_fields(headers)?;
        self.hold(0, headers.size(), WHAT)?;
        Ok(self.table.push(OutgoingResponse {
            status: 200,
            headers,
            body: Written::default(),
        })?)
    }

    fn status_code(&mut self, response: Resource<OutgoingResponse>) -> wasmtime::Result<u16> {
        Ok(self.table.get(&response)?.status)
    }

    fn set_status_code(
        &mut self,
        response: Resource<OutgoingResponse>,
        status: u16,
    ) -> wasmtime::Result<Result<(), ()>> {
        let response = self.table.get_mut(&response)?;
        if http::StatusCode::from_u16(status).is_err() {
            return Ok(Err(()));
        }
        response.status = status;
        Ok(Ok(()))
    }

    fn headers(
        &mut self,
        response: Resource<OutgoingResponse>,
    ) -> wasmtime::Result<Resource<Fields>> {
        let view = self.table.get(&response)?.headers.view();
        self.push_fields(view)
    }

    fn body(
        &mut self,
        response: Resource<OutgoingResponse>,
    ) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>> {
        let response = self.table.get(&response)?;
        let declared = response.headers.first("content-length");
        let declared = declared.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let Some(body) = response.body.begin(declared, self.exchange.room.clone()) else {
            return Ok(Err(()));
        };
        Ok(Ok(self.table.push(body)?))
    }

    fn drop(&mut self, response: Resource<OutgoingResponse>) -> wasmtime::Result<()> {
        let response = self.table.delete(response)?;
        self.hold(response.headers.size(), 0, WHAT)
    }
}
