//! What an instance is made of, and what of it the host calls.

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};
use wasmtime_wasi::p2::bindings::exports::wasi::cli::run;

use super::bindings::http::exports::wasi::http::incoming_handler as requests;
use super::bindings::messaging::exports::wasi::messaging::incoming_handler as messaging;
use super::bindings::queue::exports::gristmill::queue::{batch_handler, handler};
use super::form::{Form, START};
use super::forms::command;
use super::instance::Sandbox;

/// A module that is linked, and where its functions are found.
pub(super) enum Program {
    /// A component.
    Component(InstancePre<Sandbox>, Entries),
    /// A core module, which is a program of WASI preview 1.
    Module(wasmtime::InstancePre<Sandbox>),
}

/// Where the functions are found in a component: those of its form.
pub(super) enum Entries {
    Queue {
        one: handler::GuestIndices,
        batch: Option<batch_handler::GuestIndices>,
    },
    Messaging(messaging::GuestIndices),
    Http(requests::GuestIndices),
    Command(run::GuestIndices),
}

impl Entries {
    /// Looks for the function that every handler of the form has.
    pub(super) fn new(form: Form, pre: &InstancePre<Sandbox>) -> wasmtime::Result<Self> {
        Ok(match form {
            Form::Queue => Entries::Queue {
                one: handler::GuestIndices::new(pre)?,
                batch: None,
            },
            Form::Command => Entries::Command(run::GuestIndices::new(pre)?),
            Form::Messaging => Entries::Messaging(messaging::GuestIndices::new(pre)?),
            Form::Http => Entries::Http(requests::GuestIndices::new(pre)?),
        })
    }

    /// Looks for the one that takes batches, too.
    pub(super) fn with_batches(self, pre: &InstancePre<Sandbox>) -> wasmtime::Result<Self> {
        Ok(match self {
            Entries::Queue { one, .. } => Entries::Queue {
                one,
                batch: Some(batch_handler::GuestIndices::new(pre)?),
            },
            other => other,
        })
    }

    fn load(&self, store: &mut Store<Sandbox>, instance: &Instance) -> wasmtime::Result<Exports> {
        Ok(match self {
            Entries::Queue { one, batch } => Exports::Queue {
                one: one.load(&mut *store, instance)?,
                batch: batch
                    .as_ref()
                    .map(|batch| batch.load(&mut *store, instance))
                    .transpose()?,
            },
            Entries::Messaging(handler) => Exports::Messaging(handler.load(&mut *store, instance)?),
            Entries::Http(handler) => Exports::Http(handler.load(&mut *store, instance)?),
            Entries::Command(run) => {
                Exports::Command(command::Entry::Run(run.load(&mut *store, instance)?))
            }
        })
    }
}

impl Program {
    /// Whether it takes batches.
    pub(super) fn takes_batches(&self) -> bool {
        matches!(
            self,
            Program::Component(_, Entries::Queue { batch: Some(_), .. })
        )
    }

    /// Makes an instance.
    pub(super) async fn instantiate(
        &self,
        store: &mut Store<Sandbox>,
    ) -> wasmtime::Result<Exports> {
        match self {
            Program::Component(pre, entries) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                entries.load(store, &instance)
            }
            Program::Module(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let start = instance.get_typed_func(&mut *store, START)?;
                Ok(Exports::Command(command::Entry::Start(start)))
            }
        }
    }
}

/// The functions of an instance.
pub(super) enum Exports {
    Queue {
        one: handler::Guest,
        batch: Option<batch_handler::Guest>,
    },
    Messaging(messaging::Guest),
    Http(requests::Guest),
    Command(command::Entry),
}
