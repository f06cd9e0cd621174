//! A database whose end is no panic: redb panics over some damaged pages, also when it is closed, and a
//! second panic while the first is under way would end the process.

use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;

use redb::Database;

use crate::error::panicked;

/// The database, there until the end.
pub(crate) struct Guarded(Option<Database>);

impl Guarded {
    pub fn new(database: Database) -> Self {
        Guarded(Some(database))
    }
}

const GONE: &str = "it is taken by drop only";

impl Deref for Guarded {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().unwrap_or_else(|| unreachable!("{GONE}"))
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut Database {
        self.0.as_mut().unwrap_or_else(|| unreachable!("{GONE}"))
    }
}

impl Drop for Guarded {
    /// Whoever lets go of it does not deserve a panic: what is committed is committed.
    fn drop(&mut self) {
        let database = self.0.take();
        if std::thread::panicking() {
            // It has panicked already, and is not asked for more; the process ends soon.
            return std::mem::forget(database);
        }
        let closed = std::panic::catch_unwind(AssertUnwindSafe(|| drop(database)));
        if let Err(cause) = closed {
            let error = panicked(cause.as_ref());
            tracing::error!(%error, "the store could not be closed cleanly");
        }
    }
}
