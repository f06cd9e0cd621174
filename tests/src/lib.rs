//! What tests from end to end and the demo are made of: the real binary, real modules, a folder.
//!
//! Knows how to build the binary and the modules, how to start, stop and kill a host, and how to
//! ask it through its socket. Knows nothing of the host's own code: what is tested here is what a
//! user has, so it is reached as a user reaches it.

mod ask;
mod build;
mod certificates;
pub mod clients;
mod history;
mod host;
pub mod languages;
pub mod native;
mod network;
mod queue;
mod rng;
mod socket;
mod start;
pub mod toolchains;

pub use ask::Output;
pub use build::{Guests, cargo, commit, gristmill, guests, kept, program, workspace};
pub use certificates::Certificates;
pub use history::{Event, History, Violation};
pub use host::Host;
pub use network::{free_port, has, python_environment, run, script};
pub use queue::Queue;
pub use rng::Rng;
pub use socket::{Answer, Socket};
pub use start::measure_start;
