//! As much of this crate as `componentize-qjs` asks for when it is compiled. Its functions are never called;
//! `host/javascript/unused/README.md` says why it is here.

use wasmtime::{Result, Store, component::Instance};

pub struct WasmtimeWizerComponent<'a, T> {
    pub store: &'a mut Store<T>,
    pub instance: Instance,
}

pub struct Wizer;

pub struct ComponentContext;

impl Wizer {
    pub fn new() -> Self {
        unreachable!()
    }
    pub fn instrument_component(&self, _: &[u8]) -> Result<(ComponentContext, Vec<u8>)> {
        unreachable!()
    }
    pub async fn snapshot_component<T>(
        &self,
        _: ComponentContext,
        _: &mut WasmtimeWizerComponent<'_, T>,
    ) -> Result<Vec<u8>> {
        unreachable!()
    }
}
