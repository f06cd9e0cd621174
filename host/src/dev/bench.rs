//! Whether a handler has to be built, and what is said about how that went.

use std::path::PathBuf;
use std::time::Duration;

use super::command::Ended;
use super::stamps::Stamps;
use crate::config::BuildConfig;

/// Builds in a row that began with what changed during the one before: then the build itself changes
/// what it is made from, and would go on for ever.
const RESTLESS: u32 = 3;

/// A handler that is built here.
pub struct Bench {
    /// Its name.
    pub handler: String,
    /// How.
    pub build: BuildConfig,
    apart: Vec<PathBuf>,
    /// What the sources looked like before they were built last.
    from: Option<Stamps>,
    /// Whether a build has succeeded.
    is_built: bool,
    in_a_row: u32,
}

/// What is said about a build.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is built.
    Built(Duration),
    /// It is not; before it was, or never.
    Failed {
        /// In words.
        how: String,
        /// Whether there is an earlier version.
        before: bool,
    },
    /// Nothing more than the build has said.
    Settled,
    /// The build changes what is watched.
    Restless,
}

impl Bench {
    /// One that was not built yet. What lies `apart` is no source.
    pub fn new(handler: &str, build: &BuildConfig, apart: &[PathBuf]) -> Self {
        Bench {
            handler: handler.to_owned(),
            build: build.clone(),
            apart: apart.to_vec(),
            from: None,
            is_built: false,
            in_a_row: 0,
        }
    }

    /// Whether this is the one for that handler, built in that way.
    pub fn is(&self, handler: &str, build: &BuildConfig) -> bool {
        self.handler == handler && self.build == *build
    }

    /// What the sources look like, if they were not built like that.
    pub fn due(&self) -> Option<Stamps> {
        let now = self.look();
        (self.from.as_ref() != Some(&now)).then_some(now)
    }

    /// Takes note of a build from these sources.
    pub fn built(&mut self, from: Stamps, ended: Ended, took: Duration) -> Verdict {
        self.from = Some(from);
        match ended {
            Ended::Well => {
                self.is_built = true;
                Verdict::Built(took)
            }
            Ended::Badly(how) => Verdict::Failed {
                how,
                before: self.is_built,
            },
        }
    }

    /// Looks whether the sources changed during the build. If they did so every time of late, they are
    /// taken as they are: then it is the build that changes them.
    pub fn settle(&mut self) -> Verdict {
        let now = self.look();
        if self.from.as_ref() == Some(&now) {
            self.in_a_row = 0;
            return Verdict::Settled;
        }
        self.in_a_row += 1;
        if self.in_a_row < RESTLESS {
            return Verdict::Settled;
        }
        self.in_a_row = 0;
        self.from = Some(now);
        Verdict::Restless
    }

    fn look(&self) -> Stamps {
        Stamps::of(&self.build.watch, &self.apart)
    }
}

impl Verdict {
    /// In words.
    pub fn words(&self, handler: &str) -> String {
        match self {
            Verdict::Built(took) => format!("{handler}: built in {:.1} s", took.as_secs_f64()),
            Verdict::Failed { how, before: true } => {
                format!("{handler}: the build {how}; the version before it serves on")
            }
            Verdict::Failed { how, before: false } => format!(
                "{handler}: the build {how}; what lies in the folder of modules serves, if anything \
                 does"
            ),
            Verdict::Settled => String::new(),
            Verdict::Restless => format!(
                "{handler}: the build changes files that `watch` names, so it would never end: name \
                 only what it is made from"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TOOK: Duration = Duration::from_millis(1250);

    fn bench(folder: &tempfile::TempDir) -> Bench {
        let build = BuildConfig {
            command: "make".to_owned(),
            watch: vec![folder.path().join("src")],
        };
        Bench::new("orders", &build, &[])
    }

    fn build(bench: &mut Bench, ended: Ended) -> Verdict {
        let due = bench.due().expect("it is due");
        bench.built(due, ended, TOOK)
    }

    #[test]
    fn it_is_built_at_the_start_and_when_sources_change_whatever_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = bench(&folder);
        let words = build(&mut bench, Ended::Badly("ended with exit code 1".into()));
        assert!(words.words("orders").contains("what lies in the folder"));
        assert!(bench.due().is_none());
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/a"), "").unwrap();
        let words = build(&mut bench, Ended::Well);
        assert_eq!(words.words("orders"), "orders: built in 1.2 s");
        assert!(bench.settle() == Verdict::Settled && bench.due().is_none());
        fs::write(folder.path().join("src/a"), "x").unwrap();
        let words = build(&mut bench, Ended::Badly("was killed by signal 9".into()));
        assert_eq!(
            words.words("orders"),
            "orders: the build was killed by signal 9; the version before it serves on"
        );
    }

    #[test]
    fn a_change_during_a_build_leads_to_another_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        let mut bench = bench(&folder);
        for round in 1..=RESTLESS {
            let due = bench.due().expect("it is due");
            fs::write(folder.path().join("src/made"), "x".repeat(round as usize)).unwrap();
            bench.built(due, Ended::Well, TOOK);
            let expected = match round {
                RESTLESS => Verdict::Restless,
                _ => Verdict::Settled,
            };
            assert_eq!(bench.settle(), expected, "{round}");
        }
        assert!(bench.due().is_none(), "it rests");
    }
}
