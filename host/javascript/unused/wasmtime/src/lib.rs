//! As much of this crate as `componentize-qjs` asks for when it is compiled. Its functions are never called;
//! `host/javascript/unused/README.md` says why it is here.

use std::marker::PhantomData;

pub use anyhow::Result;

pub struct Config;

impl Config {
    pub fn new() -> Self {
        unreachable!()
    }
    pub fn wasm_component_model(&mut self, _: bool) {}
    pub fn wasm_component_model_async(&mut self, _: bool) {}
    pub fn wasm_component_model_map(&mut self, _: bool) {}
}

pub struct Engine;

impl Engine {
    pub fn new(_: &Config) -> Result<Self> {
        unreachable!()
    }
}

pub struct Store<T>(PhantomData<T>);

impl<T> Store<T> {
    pub fn new(_: &Engine, _: T) -> Self {
        unreachable!()
    }
}

pub mod component {
    use std::marker::PhantomData;

    use super::{Engine, Result, Store};

    pub use crate::bindgen;

    pub struct Component;

    impl Component {
        pub fn new(_: &Engine, _: &[u8]) -> Result<Self> {
            unreachable!()
        }
    }

    pub struct Instance;

    pub struct ResourceTable;

    impl ResourceTable {
        pub fn new() -> Self {
            unreachable!()
        }
    }

    pub struct Linker<T>(PhantomData<T>);

    impl<T> Linker<T> {
        pub fn new(_: &Engine) -> Self {
            unreachable!()
        }
        pub fn allow_shadowing(&mut self, _: bool) {}
        pub fn define_unknown_imports_as_traps(&mut self, _: &Component) -> Result<()> {
            unreachable!()
        }
        pub fn instance(&mut self, _: &str) -> Result<LinkerInstance> {
            unreachable!()
        }
        pub async fn instantiate_async(&self, _: &mut Store<T>, _: &Component) -> Result<Instance> {
            unreachable!()
        }
    }

    pub struct LinkerInstance;

    impl LinkerInstance {
        pub fn func_wrap<A, R>(
            &mut self,
            _: &str,
            _: impl Fn((), A) -> Result<R> + 'static,
        ) -> Result<()> {
            unreachable!()
        }
    }
}

#[macro_export]
macro_rules! bindgen {
    ($($any:tt)*) => {
        struct Init;
        impl Init {
            fn new<T>(_: &mut $crate::Store<T>, _: &$crate::component::Instance) -> $crate::Result<Self> {
                unreachable!()
            }
            async fn call_init<T>(
                &self,
                _: &mut $crate::Store<T>,
                _: &str,
                _: &str,
                _: Option<&str>,
                _: bool,
            ) -> $crate::Result<std::result::Result<(), String>> {
                unreachable!()
            }
        }
    };
}
