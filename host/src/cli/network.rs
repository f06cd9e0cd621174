//! A host on the network, as the command line names it.

use std::path::PathBuf;

use super::Global;
use super::exit::{Exit, Failure};
use super::print::Screen;
use crate::http::{BadServer, Server, Token};

/// The most bytes of a file with a token.
const MAX_TOKEN_FILE: u64 = 4096;
const SERVER: &str = "GRISTMILL_SERVER";
const TOKEN: &str = "GRISTMILL_TOKEN";

/// Which host on the network is asked, instead of the one on the data folder.
#[derive(clap::Args, Clone, Default)]
pub(super) struct Network {
    /// Ask the host at this URL, such as `https://queue.example.com:7733`
    #[arg(long, global = true, value_name = "URL", env = SERVER)]
    pub server: Option<String>,
    /// The token to show it; better given in the environment or a file, where others do not see it
    #[arg(long, global = true, value_name = "TOKEN", env = TOKEN, hide_env_values = true)]
    token: Option<String>,
    /// A file with the token to show it
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "token",
        env = "GRISTMILL_TOKEN_FILE"
    )]
    token_file: Option<PathBuf>,
    /// Believe certificates of the authorities in this file instead of those that the system trusts
    #[arg(long, global = true, value_name = "FILE", env = "GRISTMILL_CA_CERT")]
    ca_cert: Option<PathBuf>,
}

/// Never with the token.
impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Global {
    /// The host on the network that is to be asked, if one is named. A data folder that is named goes
    /// before a host that the environment names.
    pub(super) fn server(&self) -> Result<Option<Server>, Failure> {
        let Some(url) = &self.network.server else {
            return Ok(None);
        };
        if self.data_dir.is_some() {
            if std::env::var(SERVER).is_ok_and(|set| set == *url) {
                return Ok(None);
            }
            let message = "--server and --data-dir name two hosts: give one of them";
            return Err(Failure::usage(message));
        }
        let token = self.network.token(self.quiet)?;
        let server = Server::at(url, token, self.network.ca_cert.as_deref());
        server.map(Some).map_err(|error| match error {
            BadServer::Url(_) | BadServer::Token => Failure::usage(error),
            BadServer::Trust(_) => Failure::new(Exit::Failed, error),
        })
    }

    /// Refuses what can be done to files of this machine only.
    pub(super) fn refuse_server(&self, verb: &str) -> Result<(), Failure> {
        match self.server()? {
            None => Ok(()),
            Some(server) => Err(Failure::usage(format!(
                "`{verb}` works on a data folder of this machine, not through {}: run it there, without --server and {SERVER}",
                server.url()
            ))),
        }
    }
}

impl Network {
    fn token(&self, quiet: bool) -> Result<Option<Token>, Failure> {
        if let Some(path) = &self.token_file {
            let read = || {
                let mut text = String::new();
                let file = std::fs::File::open(path)?;
                std::io::Read::read_to_string(
                    &mut std::io::Read::take(file, MAX_TOKEN_FILE),
                    &mut text,
                )?;
                std::io::Result::Ok(text)
            };
            let text = read().map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    format!("{} cannot be read: {error}", path.display()),
                )
            })?;
            return Token::read(&text).map(Some).map_err(Failure::usage);
        }
        let Some(typed) = &self.token else {
            return Ok(None);
        };
        if std::env::var(TOKEN).ok().as_ref() != Some(typed) {
            Screen::new(false, quiet).talk(&format!(
                "--token can be seen by every user of this machine while the command runs: use {TOKEN} or --token-file"
            ));
        }
        Token::read(typed).map(Some).map_err(Failure::usage)
    }
}
