//! Requests to elsewhere. They can be made, and none is sent: no handler reaches the network.
//!
//! Compilers of some languages import the interface whether it is used or not, so it is linked.

use http::Method as Token;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::io::poll::Pollable as DynPollable;

use super::body::{IncomingBody, OutgoingBody, Written};
use super::fields::Fields;
use crate::runtime::bindings::http::wasi::http::outgoing_handler;
use crate::runtime::bindings::http::wasi::http::types::{
    ErrorCode, HostFutureIncomingResponse, HostIncomingResponse, HostOutgoingRequest,
    HostRequestOptions, Method, Scheme,
};
use crate::runtime::denied::Denied;
use crate::runtime::instance::Sandbox;

/// Bytes of each part of an address.
const MAX_PART: usize = 16 * 1024;
/// What the limit of what is held calls them.
const WHAT: &str = "requests";

/// A request that goes nowhere.
pub struct OutgoingRequest {
    headers: Fields,
    method: Method,
    path: Option<String>,
    scheme: Option<Scheme>,
    authority: Option<String>,
    body: Written,
}

/// How long to wait for it.
#[derive(Default)]
pub struct RequestOptions {
    connect: Option<u64>,
    first_byte: Option<u64>,
    between_bytes: Option<u64>,
}

/// The response to it. None ever comes.
pub enum IncomingResponse {}

/// The promise of one. None is ever given.
pub enum FutureIncomingResponse {}

/// Whether a part of an address may be that.
fn is_part(text: &str) -> bool {
    text.len() <= MAX_PART && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn set_part(place: &mut Option<String>, text: Option<String>) -> Result<(), ()> {
    if !text.as_deref().is_none_or(is_part) {
        return Err(());
    }
    *place = text;
    Ok(())
}

impl outgoing_handler::Host for Sandbox {
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Resource<FutureIncomingResponse>, ErrorCode>> {
        HostOutgoingRequest::drop(self, request)?;
        if let Some(options) = options {
            self.table.delete(options)?;
        }
        self.denied = Some(Denied::Http);
        Ok(Err(ErrorCode::HttpRequestDenied))
    }
}

impl HostOutgoingRequest for Sandbox {
    fn new(&mut self, headers: Resource<Fields>) -> wasmtime::Result<Resource<OutgoingRequest>> {
        let headers = self.take_fields(headers)?;
        self.hold(0, headers.size(), WHAT)?;
        Ok(self.table.push(OutgoingRequest {
            headers,
            method: Method::Get,
            path: None,
            scheme: None,
            authority: None,
            body: Written::default(),
        })?)
    }

    fn body(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>> {
        let Some(body) = self.table.get(&request)?.body.begin(None, None) else {
            return Ok(Err(()));
        };
        Ok(Ok(self.table.push(body)?))
    }

    fn method(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Method> {
        Ok(self.table.get(&request)?.method.clone())
    }

    fn set_method(
        &mut self,
        request: Resource<OutgoingRequest>,
        method: Method,
    ) -> wasmtime::Result<Result<(), ()>> {
        if let Method::Other(name) = &method
            && (name.len() > MAX_PART || Token::from_bytes(name.as_bytes()).is_err())
        {
            return Ok(Err(()));
        }
        self.table.get_mut(&request)?.method = method;
        Ok(Ok(()))
    }

    fn path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&request)?.path.clone())
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
        path: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        Ok(set_part(&mut self.table.get_mut(&request)?.path, path))
    }

    fn scheme(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<Scheme>> {
        Ok(self.table.get(&request)?.scheme.clone())
    }

    fn set_scheme(
        &mut self,
        request: Resource<OutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> wasmtime::Result<Result<(), ()>> {
        if let Some(Scheme::Other(name)) = &scheme
            && !is_part(name)
        {
            return Ok(Err(()));
        }
        self.table.get_mut(&request)?.scheme = scheme;
        Ok(Ok(()))
    }

    fn authority(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&request)?.authority.clone())
    }

    fn set_authority(
        &mut self,
        request: Resource<OutgoingRequest>,
        authority: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        Ok(set_part(&mut request.authority, authority))
    }

    fn headers(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Resource<Fields>> {
        let view = self.table.get(&request)?.headers.view();
        self.push_fields(view)
    }

    fn drop(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<()> {
        let request = self.table.delete(request)?;
        self.hold(request.headers.size(), 0, WHAT)
    }
}

impl Sandbox {
    fn change_options(
        &mut self,
        options: &Resource<RequestOptions>,
        change: impl FnOnce(&mut RequestOptions),
    ) -> wasmtime::Result<Result<(), ()>> {
        change(self.table.get_mut(options)?);
        Ok(Ok(()))
    }
}

impl HostRequestOptions for Sandbox {
    fn new(&mut self) -> wasmtime::Result<Resource<RequestOptions>> {
        Ok(self.table.push(RequestOptions::default())?)
    }

    fn connect_timeout(&mut self, o: Resource<RequestOptions>) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&o)?.connect)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        wait: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.change_options(&options, |options| options.connect = wait)
    }

    fn first_byte_timeout(&mut self, o: Resource<RequestOptions>) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&o)?.first_byte)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        wait: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.change_options(&options, |options| options.first_byte = wait)
    }

    fn between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
    ) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&options)?.between_bytes)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        wait: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.change_options(&options, |options| options.between_bytes = wait)
    }

    fn drop(&mut self, options: Resource<RequestOptions>) -> wasmtime::Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}

impl HostIncomingResponse for Sandbox {
    fn status(&mut self, response: Resource<IncomingResponse>) -> wasmtime::Result<u16> {
        match *self.table.get(&response)? {}
    }

    fn headers(
        &mut self,
        response: Resource<IncomingResponse>,
    ) -> wasmtime::Result<Resource<Fields>> {
        match *self.table.get(&response)? {}
    }

    fn consume(
        &mut self,
        response: Resource<IncomingResponse>,
    ) -> wasmtime::Result<Result<Resource<IncomingBody>, ()>> {
        match *self.table.get(&response)? {}
    }

    fn drop(&mut self, response: Resource<IncomingResponse>) -> wasmtime::Result<()> {
        match self.table.delete(response)? {}
    }
}

impl HostFutureIncomingResponse for Sandbox {
    fn subscribe(
        &mut self,
        response: Resource<FutureIncomingResponse>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        match *self.table.get(&response)? {}
    }

    fn get(
        &mut self,
        response: Resource<FutureIncomingResponse>,
    ) -> wasmtime::Result<Option<Result<Result<Resource<IncomingResponse>, ErrorCode>, ()>>> {
        match *self.table.get(&response)? {}
    }

    fn drop(&mut self, response: Resource<FutureIncomingResponse>) -> wasmtime::Result<()> {
        match self.table.delete(response)? {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_part_of_an_address_is_refused_and_changes_nothing() {
        let mut path = None;
        assert_eq!(set_part(&mut path, Some("/a?b=c".to_owned())), Ok(()));
        for text in ["/a b", "/a\r\n", "/ä", &"x".repeat(MAX_PART + 1)] {
            assert_eq!(set_part(&mut path, Some(text.to_owned())), Err(()));
        }
        assert_eq!(path.as_deref(), Some("/a?b=c"));
        assert_eq!(set_part(&mut path, None), Ok(()));
        assert_eq!(path, None);
    }
}
