//! Tokens and access keys.

use bytes::Bytes;
use hyper::Method;

use super::Client;
use crate::api::reply::quoted;
use crate::api::{Problem, TokenIn, TokenOut, TokenView};

impl Client {
    /// See [`Api::create_token`](crate::api::Api::create_token).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn create_token(&self, asked: &TokenIn) -> Result<TokenOut, Problem> {
        self.post("/v1/tokens", asked).await
    }

    /// See [`Api::tokens`](crate::api::Api::tokens).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Problem> {
        self.items("/v1/tokens").await
    }

    /// See [`Api::revoke_token`](crate::api::Api::revoke_token).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Problem> {
        let path = format!("/v1/tokens/{}", quoted(id));
        let gone = self.call(Method::DELETE, &path, Bytes::new()).await;
        gone.map(drop)
    }
}
