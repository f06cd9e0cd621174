//! The Rust side of the interfaces, generated from their WIT.
//!
//! Parameters of exports are borrowed, so that a message is handed to the guest without a copy on
//! the host. Imports may trap; exports are called as futures.

pub(super) mod queue {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "queue-batch-handler",
        ownership: Borrowing { duplicate_if_necessary: false },
        imports: { default: trappable },
        exports: { default: async },
    });
}

pub(super) mod logging {
    wasmtime::component::bindgen!({
        inline: "
            package wasi:logging@0.1.0-draft;
            interface logging {
                enum level { trace, debug, info, warn, error, critical }
                log: func(level: level, context: string, message: string);
            }
            world imports { import logging; }
        ",
        imports: { default: trappable },
    });
}

pub(super) mod http {
    use crate::runtime::forms::http;

    wasmtime::component::bindgen!({
        path: "src/runtime/forms/http.wit",
        world: "proxy",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:http/types.fields": http::fields::Fields,
            "wasi:http/types.incoming-request": http::IncomingRequest,
            "wasi:http/types.outgoing-request": http::outgoing::OutgoingRequest,
            "wasi:http/types.request-options": http::outgoing::RequestOptions,
            "wasi:http/types.response-outparam": http::ResponseOutparam,
            "wasi:http/types.incoming-response": http::outgoing::IncomingResponse,
            "wasi:http/types.incoming-body": http::body::IncomingBody,
            "wasi:http/types.future-trailers": http::body::FutureTrailers,
            "wasi:http/types.outgoing-response": http::OutgoingResponse,
            "wasi:http/types.outgoing-body": http::body::OutgoingBody,
            "wasi:http/types.future-incoming-response": http::outgoing::FutureIncomingResponse,
        },
    });
}

pub(super) mod messaging {
    use crate::runtime::forms::{letter, messaging};

    wasmtime::component::bindgen!({
        path: "src/runtime/forms/messaging.wit",
        world: "messaging-request-reply",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "wasi:messaging/types.client": messaging::Client,
            "wasi:messaging/types.message": letter::Letter,
            "wasi:messaging/request-reply.request-options": messaging::RequestOptions,
        },
    });
}
