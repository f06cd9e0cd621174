//! `gristmill new`

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::exit::{Exit, Failure};
use super::new::{SdkSource, module, scaffold};
use super::print::Screen;

#[derive(clap::Args, Debug)]
pub struct New {
    /// The name of the handler, which is also that of its folder
    name: String,
    /// Use the SDK in this folder instead of a copy; for work on the SDK itself
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made<'n> {
    folder: &'n str,
    files: Vec<PathBuf>,
}

impl New {
    pub fn run(self, screen: Screen) -> Result<(), Failure> {
        let sdk = match &self.sdk {
            None => SdkSource::Vendored,
            Some(folder) => {
                let whole = folder.canonicalize().map_err(|error| {
                    Failure::new(
                        Exit::Failed,
                        format!("{} cannot be used: {error}", folder.display()),
                    )
                })?;
                SdkSource::Path(whole)
            }
        };
        let files = scaffold(&self.name, &sdk).map_err(Failure::usage)?;
        write(Path::new(&self.name), &files)?;
        if screen.json {
            return screen.json(&Made {
                folder: &self.name,
                files: files.into_iter().map(|(path, _)| path).collect(),
            });
        }
        screen.talk(&format!(
            "made {name}: the handler is in {name}/src/lib.rs\n\n\
             next:  cd {name}\n       cargo test\n       cargo wasm\n       gristmill serve\n\n\
             `cargo wasm` makes the module {module}.wasm, which a running host takes over at once",
            name = self.name,
            module = module(&self.name),
        ));
        Ok(())
    }
}

/// Writes the files into a new folder; one that is there already is not touched.
fn write(folder: &Path, files: &[(PathBuf, String)]) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("{} cannot be written: {error}", path.display()),
        )
    };
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let message = format!(
                "{} is there already: choose another name, or remove it",
                folder.display()
            );
            return Err(Failure::new(Exit::Failed, message));
        }
        Err(error) => return Err(failed(folder, error)),
    }
    for (path, text) in files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_written_once_and_never_over_another() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("orders");
        let files = scaffold("orders", &SdkSource::Vendored).unwrap();
        write(&folder, &files).unwrap();
        for (path, text) in &files {
            assert_eq!(&fs::read_to_string(folder.join(path)).unwrap(), text);
        }
        let again = write(&folder, &files).unwrap_err();
        assert!(
            again.message.contains("is there already"),
            "{}",
            again.message
        );
    }
}
