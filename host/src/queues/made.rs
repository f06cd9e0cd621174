//! Queues that are made, changed and deleted while the host runs, beside those that the file declares.
//!
//! A name that is in both is the file's: its declaration counts, and what was made under the name rests
//! until the file lets go of it. One lock orders all changes, so that a queue is compared with what it
//! really is; reading never waits for it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use gristmill_queue::board::QueueView;
use gristmill_queue::{QueueName, QueuePolicy, Timestamp, limits};
use gristmill_store::{AdminError, Declaration, ReadMade, TopicDeclaration};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::Queues;
use crate::config::made::policy;

/// Names that start so are the host's own.
const RESERVED: &str = "gristmill-";

/// A queue that was made while the host ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// What is configured for it, by the keys of `[queue.NAME]`.
    pub definition: Map<String, Value>,
    /// What a front end keeps with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What its owner notes on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When it was made: milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it was changed last: milliseconds since 1970.
    pub changed_at_ms: u64,
}

/// Why a queue cannot be made, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The file declares it.
    #[error(
        "queue {0} is declared in the configuration: change it there, since the file counts whatever is said here"
    )]
    FromFile(QueueName),
    /// The name is not to be had.
    #[error("{0} is a name of the host's own: choose one that does not start with \"{RESERVED}\"")]
    Reserved(QueueName),
    /// The definition cannot be used.
    #[error("queue {queue} cannot be defined so: {problem}")]
    Invalid {
        /// The queue.
        queue: QueueName,
        /// All that is wrong.
        problem: String,
    },
    /// The store refused, or closed.
    #[error(transparent)]
    Store(#[from] AdminError),
}

/// A queue that takes messages.
#[derive(Clone, Debug)]
pub struct Known {
    /// What is configured for it.
    pub policy: Arc<QueuePolicy>,
    /// What was made; nothing, if the file declares it.
    pub made: Option<Arc<Made>>,
}

/// All queues that take messages, by name.
#[derive(Default)]
pub(super) struct Catalogue {
    queues: RwLock<BTreeMap<QueueName, Known>>,
    /// Held by whoever changes something, until the catalogue says so.
    changing: Arc<Mutex<()>>,
}

/// Reads what the store keeps of a made queue.
fn read(name: &QueueName, text: &str) -> Result<(Made, QueuePolicy), String> {
    let made: Made = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let policy = policy(name, &made.definition)?;
    Ok((made, policy))
}

/// How the store learns what made queues are when it is opened.
#[must_use]
pub fn read_made() -> ReadMade {
    Box::new(|name, text| match read(name, text) {
        Ok((_, policy)) => Some(policy),
        Err(problem) => {
            tracing::error!(queue = %name, "the definition of a queue cannot be used: {problem}");
            None
        }
    })
}

impl Catalogue {
    fn set(&self, name: &QueueName, known: Option<Known>) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some(known) => drop(queues.insert(name.clone(), known)),
            None => drop(queues.remove(name)),
        }
    }

    fn get(&self, name: &QueueName) -> Option<Known> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(name).cloned()
    }
}

impl Queues {
    /// A queue that takes messages, and what is configured for it.
    #[must_use]
    pub fn known(&self, name: &QueueName) -> Option<Known> {
        self.catalogue.get(name)
    }

    /// A queue that was made while a host ran, unless the file declares it.
    #[must_use]
    pub fn made(&self, name: &QueueName) -> Option<Arc<Made>> {
        self.known(name)?.made
    }

    /// The names of all queues that take messages, in order, after that one.
    #[must_use]
    pub fn names(&self, after: Option<&QueueName>) -> Vec<QueueName> {
        let queues = self.catalogue.queues.read();
        let queues = queues.unwrap_or_else(PoisonError::into_inner);
        let after = queues
            .keys()
            .filter(|name| after.is_none_or(|after| *name > after));
        let own = |name: &&QueueName| !name.as_str().starts_with(RESERVED);
        after.filter(own).cloned().collect()
    }

    /// The queues that name this one for what dies in them.
    #[must_use]
    pub fn dying_into(&self, target: &QueueName) -> Vec<QueueName> {
        let queues = self.catalogue.queues.read();
        let queues = queues.unwrap_or_else(PoisonError::into_inner);
        let names = queues.iter().filter(|(_, known)| {
            let into = known.policy.dead_letter.as_ref();
            into == Some(target)
        });
        names.map(|(name, _)| name.clone()).collect()
    }

    /// One queue: depths, rates and what keeps it from delivering; nothing, if there is none.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn view(&self, name: &QueueName) -> Result<Option<QueueView>, AdminError> {
        self.store.view(name.clone()).await
    }

    /// Declares exactly these queues and topics, beside the queues that were made.
    ///
    /// # Errors
    /// When the store closed meanwhile, or cannot be read.
    pub async fn declare(
        &self,
        queues: Vec<Declaration>,
        topics: Vec<TopicDeclaration>,
    ) -> Result<(), AdminError> {
        let _changing = self.catalogue.changing.lock().await;
        let file: HashSet<&QueueName> = queues.iter().map(|queue| &queue.name).collect();
        let mut known = BTreeMap::new();
        let mut declared = Vec::new();
        for (name, text) in self.store.made()? {
            if file.contains(&name) {
                let before = self.known(&name);
                if before.is_none_or(|before| before.made.is_some()) {
                    tracing::warn!(queue = %name, "the queue was made while a host ran and is declared in the file too: the file counts");
                }
                continue;
            }
            // What cannot be used was said when the store was opened.
            if let Ok((made, policy)) = read(&name, &text) {
                let made = Some(Arc::new(made));
                let one = Known {
                    policy: Arc::new(policy.clone()),
                    made,
                };
                known.insert(name.clone(), one);
                declared.push(Declaration { name, policy });
            }
        }
        for Declaration { name, policy } in &queues {
            let policy = Arc::new(policy.clone());
            known.insert(name.clone(), Known { policy, made: None });
        }
        declared.extend(queues);
        self.store.declare(declared, topics).await?;
        let all = self.catalogue.queues.write();
        *all.unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Makes or changes a queue: `edit` sees what was made under the name, and says what is to be; nothing,
    /// if it is to stay as it is. What it answers is durable. Says how the queue is then.
    ///
    /// # Errors
    /// When `edit` refuses, the file declares the queue, or the definition cannot be used.
    pub async fn edit_made<E: From<MakeError>>(
        &self,
        name: &QueueName,
        edit: impl FnOnce(Option<&Made>, Timestamp) -> Result<Option<Made>, E>,
    ) -> Result<Option<Arc<Made>>, E> {
        let changing = self.begin_change().await;
        if name.as_str().starts_with(RESERVED) {
            return Err(MakeError::Reserved(name.clone()).into());
        }
        let known = self.known(name);
        if known.as_ref().is_some_and(|known| known.made.is_none()) {
            return Err(MakeError::FromFile(name.clone()).into());
        }
        let before = known.and_then(|known| known.made);
        let Some(made) = edit(before.as_deref(), self.now())? else {
            return Ok(before);
        };
        let made = self.make(name, made, changing).await?;
        Ok(Some(made))
    }

    async fn begin_change(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.catalogue.changing).lock_owned().await
    }

    /// Notes in the catalogue what the store has done. Whoever asked may go away meanwhile: then it is done
    /// all the same, and the next change waits for it.
    async fn change(
        &self,
        changing: OwnedMutexGuard<()>,
        done: impl Future<Output = Result<(), AdminError>> + Send + 'static,
        name: QueueName,
        known: Option<Known>,
    ) -> Result<(), AdminError> {
        let catalogue = Arc::clone(&self.catalogue);
        let noting = tokio::spawn(async move {
            done.await?;
            catalogue.set(&name, known);
            drop(changing);
            Ok(())
        });
        noting.await.unwrap_or(Err(AdminError::Closed))
    }

    async fn make(
        &self,
        name: &QueueName,
        made: Made,
        changing: OwnedMutexGuard<()>,
    ) -> Result<Arc<Made>, MakeError> {
        let invalid = |problem: String| MakeError::Invalid {
            queue: name.clone(),
            problem,
        };
        let policy = policy(name, &made.definition).map_err(invalid)?;
        if let Some(target) = &policy.dead_letter {
            self.check_dead_letter(name, target).map_err(invalid)?;
        }
        let text = serde_json::to_string(&made).map_err(|error| invalid(error.to_string()))?;
        if text.len() > limits::MAX_DEFINITION {
            return Err(invalid(format!(
                "its definition, attributes and tags have {} bytes together, but at most {} are kept",
                text.len(),
                limits::MAX_DEFINITION
            )));
        }
        let declaration = Declaration {
            name: name.clone(),
            policy: policy.clone(),
        };
        let made = Arc::new(made);
        let known = Known {
            policy: Arc::new(policy),
            made: Some(Arc::clone(&made)),
        };
        let store = self.store.clone();
        let done = async move { store.make(declaration, text).await };
        self.change(changing, done, name.clone(), Some(known))
            .await?;
        Ok(made)
    }

    /// What dies in a queue goes to one that is there, and comes round to none.
    fn check_dead_letter(&self, name: &QueueName, target: &QueueName) -> Result<(), String> {
        let mut at = target.clone();
        // There is no circle so far, so no way is longer than there are queues.
        for _ in 0..limits::MAX_MADE {
            if at == *name {
                return Err(format!(
                    "messages would die in a circle: `dead_letter` leads from {target} back to {name}"
                ));
            }
            match self.known(&at) {
                None if at == *target => {
                    return Err(format!(
                        "`dead_letter` names a queue that is not there: {target}; make it first"
                    ));
                }
                Some(Known { policy, .. }) if policy.dead_letter.is_some() => {
                    if let Some(next) = &policy.dead_letter {
                        at = next.clone();
                    }
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Removes all messages of a queue, also those that pull consumers hold, and forgets its dedup ids. Says
    /// how many.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn empty(&self, name: QueueName) -> Result<u64, AdminError> {
        self.store.empty(name).await
    }

    /// Deletes a queue that was made, with all that is in it: durable when this returns, and its name is
    /// free.
    ///
    /// # Errors
    /// When there is no such queue, or the file declares it.
    pub async fn delete_made(&self, name: &QueueName) -> Result<(), MakeError> {
        let changing = self.begin_change().await;
        if self.known(name).is_some_and(|known| known.made.is_none()) {
            return Err(MakeError::FromFile(name.clone()));
        }
        let (store, unmade) = (self.store.clone(), name.clone());
        let done = async move { store.unmake(unmade).await };
        Ok(self.change(changing, done, name.clone(), None).await?)
    }
}
