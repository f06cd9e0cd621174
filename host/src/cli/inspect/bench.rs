//! Where a module is tried: a sandbox like that of the host, with everything granted.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_queue::{QueueName, limits};

use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::cli::print::Screen;
use crate::config::{self, Config, Surroundings};
use crate::runtime::spec::{Grants, GuaranteeClass, HandlerLimits, HandlerSpec, MaxCalls, Secret};
use crate::runtime::{HandlerVersion, Runtime};
use crate::server;

/// How the name of the folder begins in which a module is compiled that no configuration knows.
const SCRATCH: &str = "gristmill-inspect";
/// A handler whose file cannot be one of a configuration.
const NAMELESS: &str = "handler";
/// Characters of the name of its queue, so that names can be made from it.
const MAX_QUEUE: usize = 64;

/// Where a module is tried.
pub struct Bench {
    pub config: Config,
    /// The handler of the configuration that has this module, if there is one.
    pub known: Option<HandlerSpec>,
    pub spec: HandlerSpec,
    pub queue: QueueName,
    runtime: Runtime,
    _scratch: Option<Scratch>,
}

impl Bench {
    /// Sets it up for the module in this file.
    pub fn set_up(global: &Global, file: &Path, screen: Screen) -> Result<Self, Failure> {
        let (mut config, scratch) = if global.config.exists() {
            match global.load() {
                Ok(config) => (config, None),
                Err(_) => {
                    screen.talk(&format!(
                        "{} has errors and is left aside: `gristmill check` shows them",
                        global.config.display()
                    ));
                    (nothing_configured()?, Some(Scratch::new()?))
                }
            }
        } else {
            (nothing_configured()?, Some(Scratch::new()?))
        };
        if let Some(scratch) = &scratch {
            config.host.data_dir = scratch.0.clone();
        }
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut handlers = config.handlers.values();
        let known = handlers.find(|spec| whole(&spec.path) == whole(file));
        let known = known.cloned();
        let shown = file.file_name().unwrap_or_default().to_string_lossy();
        let name = config::handler_of(&shown).unwrap_or(NAMELESS);
        let queue = queue_for(name)?;
        let spec = everything_granted(name, file, known.as_ref(), &queue);
        let runtime =
            server::open_runtime(&config).map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Bench {
            config,
            known,
            spec,
            queue,
            runtime,
            _scratch: scratch,
        })
    }

    /// Loads the module with everything granted.
    pub fn load(
        &self,
        module: &[u8],
        max_calls: Option<MaxCalls>,
    ) -> Result<Arc<HandlerVersion>, String> {
        let mut spec = self.spec.clone();
        if let Some(max_calls) = max_calls {
            spec.limits.max_calls = max_calls;
        }
        let loaded = self.runtime.load(&spec, module);
        loaded.map_err(|error| error.to_string())
    }
}

/// A handler of that name that may do everything; its limits are those of the configuration.
fn everything_granted(
    name: &str,
    file: &Path,
    known: Option<&HandlerSpec>,
    queue: &QueueName,
) -> HandlerSpec {
    let known_grants = known.map(|spec| spec.grants.clone()).unwrap_or_default();
    let mut send_to = (*known_grants.send_to).clone();
    send_to
        .entry(queue.clone())
        .or_insert(limits::DEFAULT_MAX_BODY);
    let mut secrets = known_grants.secrets.clone();
    if secrets.is_empty() {
        secrets.insert(String::new(), Secret::new(String::new()));
    }
    HandlerSpec {
        name: name.to_owned(),
        path: file.to_owned(),
        grants: Grants {
            send_to: Arc::new(send_to),
            reply: true,
            state: true,
            secrets,
            ..known_grants
        },
        limits: known.map_or_else(HandlerLimits::default, |spec| spec.limits.clone()),
        require: GuaranteeClass::AtLeastOnce,
        batches: Vec::new(),
        form: known.and_then(|spec| spec.form),
        command: known.map(|spec| spec.command.clone()).unwrap_or_default(),
        sha256: None,
    }
}

/// A queue for the handler of this name; names of handlers may have dots, those of queues not.
fn queue_for(handler: &str) -> Result<QueueName, Failure> {
    let name: String = handler.chars().take(MAX_QUEUE).collect();
    QueueName::new(&name.replace('.', "-")).map_err(|error| Failure::new(Exit::Failed, error))
}

/// The configuration of an empty file.
fn nothing_configured() -> Result<Config, Failure> {
    let around = Surroundings {
        env: &|_| None,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        cores: 1,
    };
    Ok(config::parse(
        "",
        Path::new(config::defaults::FILE),
        &around,
    )?)
}

/// A private folder that goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let name = format!("{SCRATCH}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|error| {
            let problem = format!(
                "the folder {} cannot be made to compile the module in: {error}",
                folder.display()
            );
            Failure::new(Exit::Failed, problem)
        })?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is in the system's folder for such.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn everything_is_granted_and_the_limits_are_those_of_the_configuration() {
        assert_eq!(queue_for("a.b").unwrap().as_str(), "a-b");
        let queue = queue_for("orders").unwrap();
        let mut known = everything_granted("orders", Path::new("x"), None, &queue);
        assert!(known.grants.state && known.grants.reply && !known.grants.secrets.is_empty());
        known.grants = Grants::default();
        known.limits.timeout = Duration::from_secs(7);
        let spec = everything_granted("orders", Path::new("x"), Some(&known), &queue);
        assert!(spec.grants.state && spec.grants.send_to.contains_key("orders"));
        assert_eq!(spec.limits.timeout, Duration::from_secs(7));
    }

    #[test]
    fn what_is_made_to_compile_in_is_private_and_goes_away() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::new().unwrap();
        let folder = scratch.0.clone();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(scratch);
        assert!(!folder.exists());
    }
}
