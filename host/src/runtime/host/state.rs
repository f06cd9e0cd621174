//! `gristmill:queue/state`: the handler's own keys and values.

use gristmill_queue::effects::StateError;

use crate::runtime::bindings::queue::gristmill::queue::state::{Error, Host};
use crate::runtime::instance::Sandbox;

impl Host for Sandbox {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let value = self.call()?.transaction.get(&key);
        Ok(value.map(|value| value.map(Vec::from)).map_err(state_error))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let result = self.call()?.transaction.set(&key, value.into());
        Ok(result.map_err(state_error))
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<Result<(), Error>> {
        let result = self.call()?.transaction.remove(&key);
        Ok(result.map_err(state_error))
    }

    fn add(&mut self, key: String, delta: i64) -> wasmtime::Result<Result<(), Error>> {
        let result = self.call()?.transaction.add(&key, delta);
        Ok(result.map_err(state_error))
    }

    fn list_keys(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let transaction = &mut self.call()?.transaction;
        let keys = transaction.list(&prefix, after.as_deref(), limit);
        Ok(keys.map_err(state_error))
    }
}

fn state_error(error: StateError) -> Error {
    match error {
        StateError::InvalidKey => Error::InvalidKey,
        StateError::TooLarge(limit) => Error::TooLarge(limit),
        StateError::QuotaExceeded => Error::QuotaExceeded,
        StateError::NotACounter => Error::NotACounter,
        StateError::Unavailable(problem) => Error::Unavailable(problem.0),
    }
}
