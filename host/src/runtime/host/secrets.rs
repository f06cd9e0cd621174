//! `gristmill:queue/secrets`: what was granted by name, and no list of it.

use crate::runtime::bindings::queue::gristmill::queue::secrets::Host;
use crate::runtime::instance::Sandbox;

impl Host for Sandbox {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let secret = self.shared.spec.grants.secrets.get(&name);
        Ok(secret.map(|secret| secret.reveal().to_owned()))
    }
}
