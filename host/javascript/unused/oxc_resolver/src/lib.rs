//! As much of this crate as `componentize-qjs` asks for when it is compiled. Its functions are never called;
//! `host/javascript/unused/README.md` says why it is here.

use std::path::Path;

#[derive(Default)]
pub struct ResolveOptions {
    pub condition_names: Vec<String>,
    pub extensions: Vec<String>,
    pub main_fields: Vec<String>,
    pub node_path: bool,
    pub symlinks: bool,
    /// There are more, so that the rest can be left at its default.
    pub modules: Vec<String>,
}

pub struct Resolver;

pub struct Resolution;

impl Resolver {
    pub fn new(_: ResolveOptions) -> Self {
        unreachable!()
    }
    pub fn resolve_file(&self, _: &Path, _: &str) -> Result<Resolution, std::io::Error> {
        unreachable!()
    }
}

impl Resolution {
    pub fn path(&self) -> &Path {
        unreachable!()
    }
}
