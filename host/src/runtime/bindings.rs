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
