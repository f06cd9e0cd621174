//! In a native build the calls go to the fake delivery that runs on this thread.

use std::time::Duration;

use crate::delivery::ExtendError;
use crate::testing::{attempt, with};
use crate::{MessageId, Outgoing, SendError};

pub(crate) fn send(to: &str, message: Outgoing) -> Result<MessageId, SendError> {
    with(|attempt| attempt.send(to, message))
}

pub(crate) fn reply(to: &str, message: Outgoing) -> Result<MessageId, SendError> {
    with(|attempt| attempt.reply(to, message))
}

pub(crate) mod body {
    use std::io;

    use crate::testing::with;

    pub(crate) fn size(of: &str) -> io::Result<u64> {
        with(|attempt| attempt.body(of).map(|body| body.len() as u64))
    }

    pub(crate) fn read(of: &str, offset: u64, most: u32) -> io::Result<Vec<u8>> {
        with(|attempt| {
            let body = attempt.body(of)?;
            let begin = body
                .len()
                .min(usize::try_from(offset).unwrap_or(usize::MAX));
            let end = body.len().min(begin + most as usize);
            Ok(body[begin..end].to_vec())
        })
    }
}

pub(crate) fn mark() -> u32 {
    with(attempt::Attempt::mark)
}

pub(crate) fn rollback_to(to: u32) {
    let known = with(|attempt| attempt.rollback_to(to));
    assert!(known, "there is no such mark: the host would trap here");
}

pub(crate) fn remaining() -> Duration {
    with(|attempt| attempt.setup.remaining)
}

pub(crate) fn extend(need: Duration) -> Result<Duration, ExtendError> {
    with(|attempt| attempt.extend(need))
}

pub(crate) fn ending() -> bool {
    with(|attempt| attempt.setup.ending)
}

pub(crate) fn progress(percent: u8, note: &str) {
    with(|attempt| attempt.progress = Some((percent, note.to_owned())));
}

pub(crate) fn max_attempts() -> Option<u32> {
    with(|attempt| attempt.setup.max_attempts)
}

pub(crate) fn previous_failure() -> Option<String> {
    with(|attempt| attempt.setup.previous_failure.clone())
}

pub(crate) fn secret(name: &str) -> Option<String> {
    with(|attempt| attempt.setup.secrets.get(name).cloned())
}

pub(crate) mod state {
    use crate::state::Error;
    use crate::testing::with;

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        with(|attempt| attempt.held.get(key))
    }

    pub(crate) fn set(key: &str, value: &[u8]) -> Result<(), Error> {
        with(|attempt| attempt.held.set(key, value))
    }

    pub(crate) fn remove(key: &str) -> Result<(), Error> {
        with(|attempt| attempt.held.remove(key))
    }

    pub(crate) fn add(key: &str, delta: i64) -> Result<(), Error> {
        with(|attempt| attempt.held.add(key, delta))
    }

    pub(crate) fn list_keys(
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        with(|attempt| attempt.held.list_keys(prefix, after, limit))
    }
}
