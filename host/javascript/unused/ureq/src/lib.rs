//! As much of this crate as `componentize-qjs` asks for when it is compiled. Its functions are never called;
//! `host/javascript/unused/README.md` says why it is here.

use std::io::{Empty, empty};

pub struct Request;

pub struct Response;

pub struct Body;

/// Downloads nothing.
pub fn get(_: &str) -> Request {
    Request
}

impl Request {
    pub fn call(self) -> Result<Response, std::io::Error> {
        Err(std::io::Error::other("nothing is downloaded here"))
    }
}

impl Response {
    pub fn into_body(self) -> Body {
        Body
    }
}

impl Body {
    pub fn into_reader(self) -> Empty {
        empty()
    }
}
