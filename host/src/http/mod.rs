//! HTTP over the local socket: the native API under `/v1`, and its client.
//!
//! Only this room names axum and hyper. It knows how requests and answers are written; what they
//! mean is the business of [`Api`]. A later listener on the network serves the same [`router`].
//!
//! The socket lies in the data folder, which only its owner may enter, and has the mode 0600: who
//! can connect is who could open the store. So there are no tokens here. There are limits all the
//! same, because a stuck client of the same user must not be able to stop the host.

mod answer;
mod body;
mod client;
mod headers;
mod large;
pub mod limits;
mod routes;
mod server;
mod sqs;

#[cfg(test)]
mod tests;

pub use crate::api::Api;
pub use client::{Client, ConnectError};
pub use routes::router;
pub use server::{BindError, SOCKET, bind, serve, serve_until};
pub use sqs::{serve_sqs_until, sqs_router};
