//! Every limit of the HTTP side, by name.

use std::time::Duration;

pub use crate::api::MAX_BATCH_BYTES;

/// The most bytes of the body of a request that waits for its reply.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// The most bytes of a request to the SQS endpoint: a full batch, with what its encoding adds.
pub const MAX_SQS_REQUEST: usize = 8 * 1024 * 1024;
/// The most bytes of any other request.
pub const MAX_REQUEST: usize = 1024 * 1024;
/// How many bytes beyond a limit are read and thrown away, so that a client which does not listen
/// before it has sent all hears the answer. Beyond that the connection is closed.
pub const MAX_DRAINED: usize = 16 * 1024 * 1024;
/// Within this time the body of a request has to be there, and as much longer as [`MIN_BODY_RATE`]
/// makes of what has come.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The least bytes per second of a body on its way in, after [`BODY_TIMEOUT`]: a poor mobile network.
pub const MIN_BODY_RATE: u64 = 64 * 1024;
/// How many pieces of a large body are read before they are written, in either direction.
pub const PIECES_AHEAD: usize = 2;
/// The most connections to the SQS endpoint at once, each of which may wait for messages; more are
/// turned away.
pub const MAX_SQS_CONNECTIONS: usize = 4096;
/// An idle connection to the SQS endpoint is closed after this time: clients there keep theirs for long.
pub const SQS_IDLE: Duration = Duration::from_secs(65);
/// The most bytes of an answer that the client takes.
pub const MAX_ANSWER: usize = 512 * 1024 * 1024;
/// After this time without use the client opens a new connection, well before the server closes
/// the old one (`net::limits::SOCKET_HEAD_TIMEOUT`).
pub const CLIENT_IDLE: Duration = Duration::from_secs(3);
/// The most clients whose rates are remembered; of more, those that need it least are forgotten.
pub const MAX_CLIENTS: usize = 10_000;

const _: () = assert!(MAX_MESSAGE as u64 == gristmill_queue::limits::MAX_INLINE);

/// For how long an answer is held back on average that turns somebody away because the host has too much to
/// do: long enough that a thousand who come again and again cost little, and less than `Retry-After` says.
/// Each of them is one whose connection nobody has touched for a while, which costs more than it seems.
pub(super) const HELD_BACK: Duration = Duration::from_millis(800);
