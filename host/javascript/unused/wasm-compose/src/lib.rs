//! As much of this crate as `componentize-qjs` asks for when it is compiled. Its functions are never called;
//! `host/javascript/unused/README.md` says why it is here.

pub mod config {
    use std::path::PathBuf;

    #[derive(Default)]
    pub struct Config {
        pub dir: PathBuf,
        pub definitions: Vec<PathBuf>,
        /// There are more, so that the rest can be left at its default.
        pub search_paths: Vec<PathBuf>,
    }
}

pub mod composer {
    use std::path::Path;

    pub struct ComponentComposer;

    impl ComponentComposer {
        pub fn new(_: &Path, _: &super::config::Config) -> Self {
            unreachable!()
        }
        pub fn compose(&self) -> anyhow::Result<Vec<u8>> {
            unreachable!()
        }
    }
}
