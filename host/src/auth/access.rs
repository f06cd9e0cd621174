//! The tokens and access keys of a host: made, listed, revoked, and held against what is shown.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use subtle::ConstantTimeEq as _;

use super::file::{self, AccessError, Contents, Entry, FILE, Stamp};
use super::identity::{Identity, Queues, Scopes};
use super::secret::{self, Key, Token};

/// The most bytes of the name of a token or key.
const MAX_NAME: usize = 80;

/// What somebody is to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who it is for, for people.
    pub name: String,
    /// What they may do.
    pub scopes: Scopes,
    /// With which queues and topics.
    pub queues: Queues,
    /// For how long from now on; for ever, if none is given.
    pub lasts: Option<Duration>,
}

/// A token that was made. This is the only time that it is told.
pub struct Issued {
    /// By what it is revoked, and known in logs.
    pub id: String,
    /// The token.
    pub token: String,
}

/// An access key that was made. This is the only time that its secret is told.
pub struct IssuedKey {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
}

/// A token or access key in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// By what it is revoked.
    pub id: String,
    /// Who it is for.
    pub name: String,
    /// Whether it is an access key.
    pub is_key: bool,
    /// What they may do, as the file says.
    pub can: Vec<String>,
    /// With which queues, as the file says.
    pub queues: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Until when it is good, in milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is no token that is known here: never made, or revoked.
    #[error("the token is not known here: it was revoked, or belongs to another host")]
    Unknown,
    /// It is over.
    #[error("token {id} has expired: make another with `gristmill token create`")]
    Expired {
        /// Which one.
        id: String,
    },
    /// Whether it is one cannot be said.
    #[error("{0}")]
    Unavailable(Arc<AccessError>),
}

/// The tokens and access keys of a host. Clones are one.
///
/// The file is looked at for every request, so what a command changes in it holds at once, whether a
/// host runs or not.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    path: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    stamp: Option<Stamp>,
    table: Result<Arc<Table>, Arc<AccessError>>,
}

/// What is in the file, ready to be asked.
#[derive(Default)]
struct Table(HashMap<String, Proven>);

struct Proven {
    identity: Arc<Identity>,
    proof: Proof,
    expires_at_ms: Option<u64>,
}

enum Proof {
    Token([u8; 32]),
    Key(String),
}

impl Access {
    /// Those of the host with this data folder.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Access(Arc::new(Inner {
            folder: folder.to_owned(),
            path: folder.join(FILE),
            known: Mutex::new(Known {
                stamp: None,
                table: Ok(Arc::default()),
            }),
        }))
    }

    /// Makes a token; durable when this returns.
    ///
    /// # Errors
    /// When the file cannot be changed.
    pub fn issue(&self, grant: &Grant) -> Result<Issued, AccessError> {
        let token = Token::make()?;
        let mut entry = entry(&token.id, grant);
        entry.sha256 = Some(hex(&secret::hash(&token.whole)));
        self.add(entry)?;
        Ok(Issued {
            id: token.id,
            token: token.whole,
        })
    }

    /// Makes an access key; durable when this returns.
    ///
    /// # Errors
    /// When the file cannot be changed.
    pub fn issue_key(&self, grant: &Grant) -> Result<IssuedKey, AccessError> {
        let Key { id, secret } = Key::make()?;
        let mut entry = entry(&id, grant);
        entry.secret = Some(secret.clone());
        self.add(entry)?;
        Ok(IssuedKey { id, secret })
    }

    fn add(&self, entry: Entry) -> Result<(), AccessError> {
        file::change(&self.0.folder, |contents| {
            contents.entries.push(entry);
            Ok(())
        })
    }

    /// Takes a token or access key back; no request that comes after is let in by it. Says whether
    /// there was one.
    ///
    /// # Errors
    /// When the file cannot be changed.
    pub fn revoke(&self, id: &str) -> Result<bool, AccessError> {
        file::change(&self.0.folder, |contents| {
            let before = contents.entries.len();
            contents.entries.retain(|entry| entry.id != id);
            Ok(contents.entries.len() < before)
        })
    }

    /// All of them, the oldest first, also those that have expired.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, AccessError> {
        let contents = file::read(&self.0.path)?;
        let list = |entry: Entry| Listed {
            is_key: entry.secret.is_some(),
            id: entry.id,
            name: entry.name,
            can: entry.can,
            queues: entry.queues,
            created_at_ms: entry.created_at_ms,
            expires_at_ms: entry.expires_at_ms,
        };
        Ok(contents.entries.into_iter().map(list).collect())
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// When it is none that is good.
    pub fn bearer(&self, token: &str, now: SystemTime) -> Result<Arc<Identity>, Refused> {
        let table = self.table().map_err(Refused::Unavailable)?;
        // As much is computed for a token that is not known as for one that is.
        let shown = secret::hash(token);
        let id = secret::id_of(token).unwrap_or_default();
        let found = table.0.get(id);
        let kept = match found.map(|found| &found.proof) {
            Some(Proof::Token(hash)) => *hash,
            _ => [0; 32],
        };
        let equal = bool::from(shown.ct_eq(&kept));
        match found {
            Some(found) if equal && found.is_over(now) => {
                Err(Refused::Expired { id: id.to_owned() })
            }
            Some(found) if equal => Ok(Arc::clone(&found.identity)),
            _ => Err(Refused::Unknown),
        }
    }

    /// Whose access key this is, and what it signs with; nothing if there is no such key or it is over.
    pub(super) fn key(
        &self,
        id: &str,
        now: SystemTime,
    ) -> Result<Option<(Arc<Identity>, String)>, Arc<AccessError>> {
        let table = self.table()?;
        let found = table.0.get(id).filter(|found| !found.is_over(now));
        Ok(found.and_then(|found| match &found.proof {
            Proof::Key(secret) => Some((Arc::clone(&found.identity), secret.clone())),
            Proof::Token(_) => None,
        }))
    }

    /// What the file says now.
    fn table(&self) -> Result<Arc<Table>, Arc<AccessError>> {
        let inner = &self.0;
        let stamp = file::stamp(&inner.path).map_err(|source| {
            Arc::new(AccessError::Io {
                path: inner.path.clone(),
                source,
            })
        })?;
        let mut known = inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.stamp != stamp {
            let read = file::read(&inner.path).and_then(|read| Table::of(read, &inner.path));
            if let Err(error) = &read {
                tracing::error!("{error}; nobody is let in by a token or an access key");
            }
            *known = Known {
                stamp,
                table: read.map(Arc::new).map_err(Arc::new),
            };
        }
        known.table.clone()
    }
}

impl Table {
    fn of(contents: Contents, path: &Path) -> Result<Self, AccessError> {
        let entries = contents.entries.into_iter().map(|entry| {
            let id = entry.id.clone();
            let proven = Proven::of(entry).map_err(|problem| AccessError::Broken {
                path: path.to_owned(),
                problem: format!("{id}: {problem}"),
            });
            Ok((id, proven?))
        });
        entries.collect::<Result<_, _>>().map(Table)
    }
}

impl Proven {
    fn of(entry: Entry) -> Result<Self, String> {
        let (kind, proof) = match (entry.sha256, entry.secret) {
            (Some(hash), None) => {
                let hash = unhex(&hash).ok_or("its sha256 is none")?;
                ("token", Proof::Token(hash))
            }
            (None, Some(secret)) => ("access key", Proof::Key(secret)),
            _ => return Err("it has either sha256 or secret".to_owned()),
        };
        Ok(Proven {
            identity: Arc::new(Identity {
                who: format!("{kind} {} ({})", entry.name, entry.id),
                scopes: entry.can.join(",").parse()?,
                queues: Queues::try_from(entry.queues)?,
            }),
            proof,
            expires_at_ms: entry.expires_at_ms,
        })
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.expires_at_ms.is_some_and(|end| unix_ms(now) >= end)
    }
}

impl Grant {
    /// Checks the name: it stands in logs.
    ///
    /// # Errors
    /// When it is none.
    pub fn check_name(name: &str) -> Result<(), String> {
        let good = |c: char| c.is_alphanumeric() || "-_.@ /:".contains(c);
        if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(good) && name.trim() == name {
            return Ok(());
        }
        Err(format!(
            "{name:?} is no name for a token: use 1 to {MAX_NAME} letters, digits, spaces and any of -_.@/:"
        ))
    }
}

fn entry(id: &str, grant: &Grant) -> Entry {
    let now = unix_ms(SystemTime::now());
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Entry {
        id: id.to_owned(),
        name: grant.name.clone(),
        sha256: None,
        secret: None,
        can: grant
            .scopes
            .actions()
            .map(|one| one.as_str().to_owned())
            .collect(),
        queues: grant.queues.patterns().to_vec(),
        created_at_ms: now,
        expires_at_ms: grant.lasts.map(|lasts| now.saturating_add(ms(lasts))),
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
