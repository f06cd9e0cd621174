//! `gristmill new`

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::new::{Language, Project, SdkSource, about, scaffold};
use super::print::{Column, Screen};

#[derive(clap::Args, Debug)]
pub struct New {
    /// The name of the handler, which is also that of its folder
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// What it is written in
    #[arg(
        long,
        short,
        value_name = "LANGUAGE",
        default_value = "rust",
        hide_possible_values = true
    )]
    lang: Language,
    /// Show the languages, and how a module is made of each
    #[arg(long, conflicts_with = "name")]
    list: bool,
    /// Use the SDK in this folder instead of a copy; for work on the SDK itself
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made<'n> {
    folder: &'n str,
    files: Vec<PathBuf>,
    source: String,
    steps: Vec<String>,
    build: Option<String>,
    sample: &'static str,
}

#[derive(Serialize)]
struct Known {
    lang: String,
    language: &'static str,
    build: String,
}

impl New {
    pub fn run(self, screen: Screen) -> Result<(), Failure> {
        let Some(name) = self.name.as_deref() else {
            return list(screen);
        };
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
        let project = scaffold(name, self.lang, &sdk).map_err(Failure::usage)?;
        write(Path::new(name), &project.files)?;
        if screen.json {
            let files = project.files.into_iter();
            return screen.json(&Made {
                folder: name,
                files: files.map(|(path, _)| path).collect(),
                source: project.source,
                steps: project.steps,
                build: project.build,
                sample: project.sample,
            });
        }
        screen.talk(&next(name, &project));
        Ok(())
    }
}

/// What was made, and what to do with it.
fn next(name: &str, project: &Project) -> String {
    let mut text = format!(
        "made {name}: the handler is in {name}/{}\n\n",
        project.source
    );
    let _ = writeln!(text, "next:  cd {name}");
    for step in project
        .steps
        .iter()
        .map(String::as_str)
        .chain(["gristmill serve"])
    {
        let _ = writeln!(text, "       {step}");
    }
    let _ = write!(
        text,
        "\nthen, in the same folder and another terminal:\n\
         \x20      gristmill send {name} '{}'\n\
         \x20      gristmill peek {name}-greetings\n",
        project.sample
    );
    let _ = match &project.build {
        Some(build) => write!(
            text,
            "\n`{build}` makes the module, which a running host takes over at once; `gristmill dev` \
             serves, and runs it whenever the source changes"
        ),
        None => write!(
            text,
            "\nThere is nothing to build: a running host takes the file over when it changes"
        ),
    };
    text
}

fn list(screen: Screen) -> Result<(), Failure> {
    let known = Language::value_variants().iter().map(|one| {
        let (language, build) = about(*one);
        let name = one.to_possible_value();
        Known {
            lang: name.map_or_else(String::new, |value| value.get_name().to_owned()),
            language,
            build,
        }
    });
    let known: Vec<Known> = known.collect();
    if screen.json {
        return screen.json(&known);
    }
    let mut rows = screen.table(&[
        Column::Words("--lang"),
        Column::Words("language"),
        Column::Words("how the module is made"),
    ]);
    for Known {
        lang,
        language,
        build,
    } in known
    {
        rows.add([lang, language.to_owned(), build]);
    }
    screen.result(&rows.text())
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
        let project = scaffold("orders", Language::Rust, &SdkSource::Vendored).unwrap();
        write(&folder, &project.files).unwrap();
        for (path, text) in &project.files {
            assert_eq!(&fs::read_to_string(folder.join(path)).unwrap(), text);
        }
        let again = write(&folder, &project.files).unwrap_err();
        assert!(
            again.message.contains("is there already"),
            "{}",
            again.message
        );
    }

    #[test]
    fn who_made_a_project_is_told_what_to_do_next() {
        let project = scaffold("orders", Language::Rust, &SdkSource::Vendored).unwrap();
        let told = next("orders", &project);
        for line in [
            "made orders: the handler is in orders/src/lib.rs\n",
            "next:  cd orders\n       cargo test\n       cargo wasm\n       gristmill serve\n",
            "       gristmill send orders '{\"name\": \"Ada\"}'\n       gristmill peek orders-greetings\n",
            "`cargo wasm` makes the module",
        ] {
            assert!(told.contains(line), "{line:?} is missing in\n{told}");
        }
    }
}
