//! What a handler exports and the host calls: one message at a time, and perhaps batches too.

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::queue::exports::gristmill::queue::{batch_handler, handler};
use super::instance::Sandbox;

/// Where the functions are found in a component.
pub(super) struct Entries {
    one: handler::GuestIndices,
    batch: Option<batch_handler::GuestIndices>,
}

impl Entries {
    /// Looks for the function that every handler has.
    pub(super) fn new(pre: &InstancePre<Sandbox>) -> wasmtime::Result<Self> {
        let one = handler::GuestIndices::new(pre)?;
        Ok(Entries { one, batch: None })
    }

    /// Looks for the one that takes batches, too.
    pub(super) fn with_batches(mut self, pre: &InstancePre<Sandbox>) -> wasmtime::Result<Self> {
        self.batch = Some(batch_handler::GuestIndices::new(pre)?);
        Ok(self)
    }

    /// Whether it takes batches.
    pub(super) fn takes_batches(&self) -> bool {
        self.batch.is_some()
    }

    pub(super) fn load(
        &self,
        store: &mut Store<Sandbox>,
        instance: &Instance,
    ) -> wasmtime::Result<Exports> {
        let batch = self.batch.as_ref();
        Ok(Exports {
            one: self.one.load(&mut *store, instance)?,
            batch: batch
                .map(|batch| batch.load(&mut *store, instance))
                .transpose()?,
        })
    }
}

/// The functions of an instance.
pub(super) struct Exports {
    pub(super) one: handler::Guest,
    batch: Option<batch_handler::Guest>,
}

impl Exports {
    /// The function that takes batches.
    ///
    /// # Errors
    /// When there is none. Such a handler is not loaded for a queue that has batches.
    pub(super) fn batch(&self) -> wasmtime::Result<&batch_handler::Guest> {
        let batch = self.batch.as_ref();
        batch.ok_or_else(|| wasmtime::Error::msg("the handler takes no batches"))
    }
}
