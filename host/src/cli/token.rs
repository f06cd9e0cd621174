//! `gristmill token`: who is let in over the network.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::door::{Door, host};
use super::exit::{Exit, Failure};
use super::print::{Column, Screen};
use super::{Global, text};
use crate::api::token::{create, is_over, list, revoke};
use crate::api::{Items, Problem, TokenIn, TokenOut, TokenView};
use crate::auth::{Access, Grant, Queues, Scopes};
use crate::config::value::{self, Show as _};
use crate::http::Client;

#[derive(clap::Subcommand, Debug)]
pub enum Token {
    /// Make a token, and print it: it is told only this once
    Create(Create),
    /// Show all tokens and access keys; never what they are proven by
    List,
    /// Take tokens or access keys back, by their ids; they are good for nothing from then on
    Revoke(Revoke),
}

#[derive(clap::Args, Debug)]
pub struct Create {
    /// Who it is for; stands in lists and logs
    #[arg(value_parser = name)]
    name: String,
    /// What it is good for: send, receive, read, manage, or several of them
    #[arg(long, value_name = "ACTIONS", value_parser = scopes)]
    can: Scopes,
    /// With which queues and topics: names, or patterns such as 'orders-*'; '*' is all of them
    #[arg(long, value_name = "PATTERNS", value_parser = queues)]
    queues: Queues,
    /// For how long, such as 90d; for ever unless given
    #[arg(long, value_name = "TIME", value_parser = value::typed)]
    expires: Option<Duration>,
    /// Make an access key for clients that sign as AWS does, instead of a token
    #[arg(long)]
    aws: bool,
}

#[derive(clap::Args, Debug)]
pub struct Revoke {
    /// The ids, as `token list` shows them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

fn name(typed: &str) -> Result<String, String> {
    Grant::check_name(typed).map(|()| typed.to_owned())
}

fn scopes(typed: &str) -> Result<Scopes, String> {
    typed.parse()
}

fn queues(typed: &str) -> Result<Queues, String> {
    typed.parse()
}

/// Where the tokens are: with a host that runs, or in the file.
enum Keeper {
    Host(Box<Client>),
    File(Access),
}

impl Keeper {
    async fn find(global: &Global) -> Result<Self, Failure> {
        if global.server()?.is_some() {
            return Ok(Keeper::Host(Box::new(Door::host(global).await?)));
        }
        let folder = global.data_dir(&global.load());
        // A host may be another user's, whose file this is not.
        Ok(match host(&folder).await? {
            Some(client) => Keeper::Host(Box::new(client)),
            None => Keeper::File(Access::of(&folder)),
        })
    }

    async fn create(&self, asked: &TokenIn) -> Result<TokenOut, Problem> {
        match self {
            Keeper::Host(client) => client.create_token(asked).await,
            Keeper::File(access) => create(access, asked),
        }
    }

    async fn list(&self) -> Result<Vec<TokenView>, Problem> {
        match self {
            Keeper::Host(client) => client.tokens().await,
            Keeper::File(access) => list(access),
        }
    }

    async fn revoke(&self, id: &str) -> Result<(), Problem> {
        match self {
            Keeper::Host(client) => client.revoke_token(id).await,
            Keeper::File(access) => revoke(access, id),
        }
    }
}

impl Token {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        match self {
            Token::Create(verb) => verb.run(global, screen).await,
            Token::List => {
                let items = Keeper::find(global).await?.list().await?;
                if screen.json {
                    return screen.json(&Items { items });
                }
                if items.is_empty() {
                    screen.talk("no tokens: make one with `gristmill token create`");
                    return Ok(());
                }
                screen.result(&table(&items, screen))
            }
            Token::Revoke(verb) => verb.run(global, screen).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let asked = TokenIn {
            name: self.name,
            can: self
                .can
                .actions()
                .map(|one| one.as_str().to_owned())
                .collect(),
            queues: self.queues.patterns().to_vec(),
            expires: self.expires.map(|time| time.show()),
            aws: self.aws,
        };
        let made = Keeper::find(global).await?.create(&asked).await?;
        if screen.json {
            return screen.json(&made);
        }
        screen.talk("keep it now: it is not shown again");
        match (&made.token, &made.secret_access_key) {
            (Some(token), _) => screen.result(token),
            // As it stands in a file of AWS's tools.
            (None, Some(secret)) => screen.result(&format!(
                "aws_access_key_id = {}\naws_secret_access_key = {secret}",
                made.id
            )),
            (None, None) => Err(Failure::new(Exit::Failed, "the host made no token")),
        }
    }
}

impl Revoke {
    async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let keeper = Keeper::find(global).await?;
        for id in &self.ids {
            keeper.revoke(id).await?;
            screen.talk(&format!("{} is good for nothing any more", text::line(id)));
        }
        if screen.json {
            return screen.json(&Items { items: self.ids });
        }
        Ok(())
    }
}

fn table(tokens: &[TokenView], screen: Screen) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
    let mut rows = screen.table(&[
        Column::Words("id"),
        Column::Words("name"),
        Column::Words("kind"),
        Column::Words("can"),
        Column::Words("queues"),
        Column::Words("made"),
        Column::Words("expires"),
    ]);
    for token in tokens {
        let expires = match token.expires_at_ms {
            None => "never".to_owned(),
            Some(_) if is_over(token, now_ms) => "has expired".to_owned(),
            Some(ms) => text::time(ms),
        };
        rows.add([
            text::line(&token.id),
            text::line(&token.name),
            text::line(&token.kind),
            text::line(&token.can.join(",")),
            text::line(&token.queues.join(",")),
            text::time(token.created_at_ms),
            expires,
        ]);
    }
    rows.text()
}
