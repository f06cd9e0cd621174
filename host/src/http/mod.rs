//! HTTP: the native API under `/v1`, over the local socket and the network, and its client.
//!
//! Only this room names axum. It knows how requests and answers are written; what they mean is the
//! business of [`Api`], and how connections are kept that of [`net`](crate::net). Every listener serves
//! the same [`router`], behind a [`Gate`] of its own.
//!
//! The socket lies in the data folder, which only its owner may enter, and has the mode 0600: who
//! can connect is who could open the store. So no token is wanted there. There are limits all the
//! same, because a stuck client of the same user must not be able to stop the host.

mod answer;
mod body;
mod client;
mod events;
mod gate;
mod guard;
mod headers;
mod large;
pub mod limits;
mod openapi;
mod routes;
mod server;
mod sqs;
mod table;

#[cfg(test)]
mod tests;

pub use crate::api::Api;
pub use client::{BadServer, Client, ConnectError, Server, Token};
pub use gate::Gate;
pub use routes::router;
pub use server::{BindError, SOCKET, bind, serve, serve_at, serve_until};
pub use sqs::{SqsGate, serve_sqs_until, sqs_router};
