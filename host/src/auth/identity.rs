//! Identities: who somebody is, what they may do, and with which queues.

use std::fmt;
use std::str::FromStr;

/// The most patterns of one identity.
pub const MAX_PATTERNS: usize = 100;
/// The most bytes of one pattern: as many as the name of a queue has at the most.
pub const MAX_PATTERN: usize = 85;

/// What can be done with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Send to it, and wait for replies.
    Send,
    /// Receive from it, and settle what was received.
    Receive,
    /// Look at it and at its messages.
    Read,
    /// Change it: pause, purge, cancel, redrive.
    Manage,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 4] = [Action::Send, Action::Receive, Action::Read, Action::Manage];

    /// The stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Send => "send",
            Action::Receive => "receive",
            Action::Read => "read",
            Action::Manage => "manage",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of actions. None includes another: who manages does not read by that.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Every action.
    pub const ALL: Scopes = Scopes(0b1111);

    /// These actions.
    #[must_use]
    pub fn of(actions: &[Action]) -> Self {
        Scopes(actions.iter().fold(0, |set, one| set | 1 << *one as u8))
    }

    /// Whether the action is in it.
    #[must_use]
    pub fn has(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    /// The actions in it.
    pub fn actions(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |one| self.has(*one))
    }
}

impl FromStr for Scopes {
    type Err = String;

    /// Reads `send,receive`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut actions = Vec::new();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            let found = Action::ALL.into_iter().find(|one| one.as_str() == word);
            actions.push(found.ok_or_else(|| {
                format!(
                    "{word:?} is nothing that can be allowed: use send, receive, read and manage"
                )
            })?);
        }
        if actions.is_empty() {
            return Err("name what is allowed: send, receive, read or manage".to_owned());
        }
        Ok(Scopes::of(&actions))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.actions().map(Action::as_str).collect();
        f.write_str(&words.join(","))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

/// Patterns of names of queues and topics: `*` stands for any characters, `?` for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues(Vec<String>);

impl Queues {
    /// All there are, and all to come.
    #[must_use]
    pub fn all() -> Self {
        Queues(vec!["*".to_owned()])
    }

    /// Whether a name is among them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    }

    /// Whether every name is.
    #[must_use]
    pub fn are_all(&self) -> bool {
        self.0
            .iter()
            .any(|pattern| pattern.bytes().all(|b| b == b'*'))
    }

    /// The patterns.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Queues {
    type Err = String;

    /// Reads `orders-*,invoices`.
    fn from_str(text: &str) -> Result<Self, String> {
        let split = text.split(',').map(str::trim);
        Queues::try_from(
            split
                .filter(|one| !one.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }
}

impl TryFrom<Vec<String>> for Queues {
    type Error = String;

    fn try_from(patterns: Vec<String>) -> Result<Self, String> {
        if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
            return Err(format!(
                "name 1 to {MAX_PATTERNS} queues, or patterns such as orders-*; * is all of them"
            ));
        }
        for pattern in &patterns {
            let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.*?".contains(&b);
            if pattern.is_empty() || pattern.len() > MAX_PATTERN || !pattern.bytes().all(known) {
                return Err(format!(
                    "{pattern:?} is no pattern for queues: use letters, digits, '-', '_', '.', and * or ? for what may vary"
                ));
            }
        }
        Ok(Queues(patterns))
    }
}

impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Takes time in the product of both lengths at the most, and both are short.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Somebody whose proof was good, or who needs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who it is, for people: `token ci (x4kd93kfm2aa)`.
    pub who: String,
    /// What they may do.
    pub scopes: Scopes,
    /// With which queues and topics.
    pub queues: Queues,
}

impl Identity {
    /// Somebody who may do everything.
    #[must_use]
    pub fn everything(who: impl Into<String>) -> Self {
        Identity {
            who: who.into(),
            scopes: Scopes::ALL,
            queues: Queues::all(),
        }
    }

    /// Whether they may do this with that queue or topic.
    #[must_use]
    pub fn may(&self, action: Action, queue: &str) -> bool {
        authorize(self, action, Some(queue)).is_ok()
    }

    /// Whether they may do this with every queue.
    #[must_use]
    pub fn may_with_all(&self, action: Action) -> bool {
        authorize(self, action, None).is_ok()
    }
}

/// Why something is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The action is in none of the scopes.
    #[error("{who} may not {action}: it was made with --can {scopes}; make one that can")]
    Action {
        /// Who asked.
        who: String,
        /// For what.
        action: Action,
        /// What they may do.
        scopes: Scopes,
    },
    /// The queue is none of theirs.
    #[error("{who} may not {action} {queue}: it was made with --queues {queues}")]
    Queue {
        /// Who asked.
        who: String,
        /// For what.
        action: Action,
        /// With which queue.
        queue: String,
        /// Which are theirs.
        queues: Queues,
    },
    /// It concerns all queues, and not all are theirs.
    #[error(
        "{who} may not {action} what concerns all queues: it was made with --queues {queues}; make one with --queues '*'"
    )]
    All {
        /// Who asked.
        who: String,
        /// For what.
        action: Action,
        /// Which are theirs.
        queues: Queues,
    },
}

/// Whether somebody may do this with a queue or topic, or, without one, with all there are.
///
/// # Errors
/// When they may not.
pub fn authorize(identity: &Identity, action: Action, queue: Option<&str>) -> Result<(), Denied> {
    let who = || identity.who.clone();
    if !identity.scopes.has(action) {
        return Err(Denied::Action {
            who: who(),
            action,
            scopes: identity.scopes,
        });
    }
    match queue {
        Some(queue) if !identity.queues.has(queue) => Err(Denied::Queue {
            who: who(),
            action,
            queue: queue.to_owned(),
            queues: identity.queues.clone(),
        }),
        None if !identity.queues.are_all() => Err(Denied::All {
            who: who(),
            action,
            queues: identity.queues.clone(),
        }),
        _ => Ok(()),
    }
}
