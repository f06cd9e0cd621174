//! Who asks, and what they may do: identities with scopes, and the tokens and access keys that prove
//! them.
//!
//! Knows names of queues, secrets that were shown, and the file in the data folder that says whom they
//! belong to. Knows neither routes nor what is done with a queue. Secrets are compared in constant
//! time, stand in no message and in no `Debug`.

mod access;
mod file;
mod identity;
mod secret;
pub mod sigv4;
#[cfg(test)]
mod tests;

pub use access::{Access, Grant, Issued, IssuedKey, Listed, Refused};
pub use file::{AccessError, FILE};
pub use identity::{Action, Denied, Identity, Queues, Scopes, authorize};
pub use sigv4::{SigError, Signed};
