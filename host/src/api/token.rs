//! Tokens and access keys, as they are asked for and shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message::duration;
use super::{Api, Code, Problem};
use crate::auth::{Access, Grant, Issued, IssuedKey, Listed, Queues};

/// What a token is to be for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenIn {
    /// Who it is for, for people and logs.
    pub name: String,
    /// What it is good for: `send`, `receive`, `read`, `manage`.
    pub can: Vec<String>,
    /// With which queues and topics: names, or patterns such as `orders-*`; `*` is all of them.
    pub queues: Vec<String>,
    /// For how long, such as `90d`; for ever unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Make an access key for signatures of AWS instead.
    #[serde(default)]
    pub aws: bool,
}

/// A token or access key that was made. It is told only this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenOut {
    /// By what it is revoked, and known in logs; of an access key, the access key id.
    pub id: String,
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The secret access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<String>,
}

/// A token or access key, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// By what it is revoked.
    pub id: String,
    /// Who it is for.
    pub name: String,
    /// `token` or `access-key`.
    pub kind: String,
    /// What it is good for.
    pub can: Vec<String>,
    /// With which queues and topics.
    pub queues: Vec<String>,
    /// When it was made.
    pub created_at_ms: u64,
    /// Until when it is good; for ever, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
}

impl From<Listed> for TokenView {
    fn from(listed: Listed) -> Self {
        let kind = if listed.is_key { "access-key" } else { "token" };
        TokenView {
            id: listed.id,
            name: listed.name,
            kind: kind.to_owned(),
            can: listed.can,
            queues: listed.queues,
            created_at_ms: listed.created_at_ms,
            expires_at_ms: listed.expires_at_ms,
        }
    }
}

impl TryFrom<&TokenIn> for Grant {
    type Error = Problem;

    fn try_from(asked: &TokenIn) -> Result<Self, Problem> {
        let bad = |why: String| Problem::bad_request(why);
        Grant::check_name(&asked.name).map_err(bad)?;
        let lasts = asked.expires.as_deref();
        Ok(Grant {
            name: asked.name.clone(),
            scopes: asked.can.join(",").parse().map_err(bad)?,
            queues: Queues::try_from(asked.queues.clone()).map_err(bad)?,
            lasts: lasts.map(|text| duration("expires", text)).transpose()?,
        })
    }
}

/// Makes a token or an access key; durable when this returns. Blocks as files do.
///
/// # Errors
/// When what is asked for has no meaning, or cannot be written.
pub fn create(access: &Access, asked: &TokenIn) -> Result<TokenOut, Problem> {
    let grant = Grant::try_from(asked)?;
    if asked.aws {
        let IssuedKey { id, secret } = access.issue_key(&grant)?;
        return Ok(TokenOut {
            id,
            token: None,
            secret_access_key: Some(secret),
        });
    }
    let Issued { id, token } = access.issue(&grant)?;
    Ok(TokenOut {
        id,
        token: Some(token),
        secret_access_key: None,
    })
}

/// All tokens and access keys, the oldest first. Blocks as files do.
///
/// # Errors
/// When they cannot be read.
pub fn list(access: &Access) -> Result<Vec<TokenView>, Problem> {
    Ok(access.list()?.into_iter().map(TokenView::from).collect())
}

/// Takes a token or access key back. Blocks as files do.
///
/// # Errors
/// When there is none, or it cannot be written.
pub fn revoke(access: &Access, id: &str) -> Result<(), Problem> {
    if access.revoke(id)? {
        return Ok(());
    }
    let detail = format!("there is no token or access key {id:?}: see `gristmill token list`");
    Err(Problem::new(Code::TokenNotFound, detail))
}

impl Api {
    /// With the tokens of the host.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// See [`create`].
    ///
    /// # Errors
    /// As there.
    pub async fn create_token(&self, asked: TokenIn) -> Result<TokenOut, Problem> {
        self.with_tokens(move |access| create(access, &asked)).await
    }

    /// See [`list`].
    ///
    /// # Errors
    /// As there.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Problem> {
        self.with_tokens(list).await
    }

    /// See [`revoke`].
    ///
    /// # Errors
    /// As there.
    pub async fn revoke_token(&self, id: String) -> Result<(), Problem> {
        self.with_tokens(move |access| revoke(access, &id)).await
    }

    async fn with_tokens<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Access) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let Some(access) = self.access.clone() else {
            return Err(Problem::new(Code::NotFound, "this host keeps no tokens"));
        };
        let asked = tokio::task::spawn_blocking(move || ask(&access)).await;
        asked.unwrap_or_else(|error| Err(Problem::new(Code::StoreFailed, error.to_string())))
    }
}

/// Whether a token is over at this time, in milliseconds since 1970.
#[must_use]
pub fn is_over(view: &TokenView, now_ms: u64) -> bool {
    view.expires_at_ms.is_some_and(|end| now_ms >= end)
}
