//! As much of this crate as `componentize-qjs` asks for when it is compiled. Its functions are never called;
//! `host/javascript/unused/README.md` says why it is here.

use wasmtime::component::ResourceTable;

pub struct WasiCtx;

pub struct WasiCtxView<'a> {
    pub ctx: &'a mut WasiCtx,
    pub table: &'a mut ResourceTable,
}

pub trait WasiView {
    fn ctx(&mut self) -> WasiCtxView<'_>;
}

pub struct WasiCtxBuilder;

impl WasiCtxBuilder {
    pub fn new() -> Self {
        unreachable!()
    }
    pub fn stdin<P>(&mut self, _: P) -> &mut Self {
        self
    }
    pub fn stdout<P>(&mut self, _: P) -> &mut Self {
        self
    }
    pub fn stderr<P>(&mut self, _: P) -> &mut Self {
        self
    }
    pub fn build(&mut self) -> WasiCtx {
        unreachable!()
    }
}

pub mod p2 {
    pub fn add_to_linker_async<T>(_: &mut wasmtime::component::Linker<T>) -> wasmtime::Result<()> {
        unreachable!()
    }

    pub mod pipe {
        #[derive(Clone)]
        pub struct MemoryOutputPipe;

        impl MemoryOutputPipe {
            pub fn new(_: usize) -> Self {
                unreachable!()
            }
            pub fn contents(&self) -> bytes::Bytes {
                unreachable!()
            }
        }

        pub struct MemoryInputPipe;

        impl MemoryInputPipe {
            pub fn new(_: bytes::Bytes) -> Self {
                unreachable!()
            }
        }
    }
}

pub mod p3 {
    pub fn add_to_linker<T>(_: &mut wasmtime::component::Linker<T>) -> wasmtime::Result<()> {
        unreachable!()
    }
}
