//! The command line: one file per verb, and one match that lists them.
//!
//! Reads arguments, asks through a [`Door`](door::Door), and shows the answer. Results go to
//! stdout, talk goes to stderr. It knows how things look to a person, and decides nothing about
//! messages.

mod body;
mod cancel;
mod check;
mod completions;
mod config;
mod confirm;
mod create;
mod cron;
mod dead;
mod dev;
mod door;
mod envelope;
mod exit;
mod groups;
mod handlers;
mod inspect;
mod network;
pub mod new;
mod parts;
mod pause;
mod peek;
mod print;
mod probe;
mod purge;
mod queues;
mod receive;
mod request;
mod reschedule;
mod resume;
mod send;
mod send_batch;
mod serve;
mod settle;
mod show;
mod store;
mod text;
mod token;
mod topics;
mod unknown;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gristmill_queue::{QueueName, Timestamp};

use exit::{Exit, Failure};
use print::Screen;

/// A durable message queue that runs its consumers itself, as sandboxed WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "gristmill", version, after_help = exit::HELP, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Args, Debug)]
struct Global {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "GRISTMILL_CONFIG", default_value = crate::config::defaults::FILE)]
    config: PathBuf,
    /// The data folder, instead of the one that the configuration names
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// One JSON document on stdout, for scripts
    #[arg(long, global = true)]
    json: bool,
    /// No remarks on stderr, only errors
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(flatten)]
    network: network::Network,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the host: deliver messages to handlers, until a signal asks to stop
    Serve(serve::Serve),
    /// Run the host, and build its handlers again when their sources change
    Dev(dev::Dev),
    /// Confine this process as `serve` does, and try what it must not be able to do
    #[command(name = "__probe", hide = true)]
    Probe(probe::Probe),
    /// Check the configuration and every handler, and show all problems
    Check(check::Check),
    /// Send a message, or many
    Send(Box<send::Send>),
    /// Send messages to several queues and topics together: all or none
    SendBatch(send_batch::SendBatch),
    /// Send a message and wait for the reply of its handler
    Request(Box<request::Request>),
    /// Show the reply to an earlier request
    Reply(request::Reply),
    /// Take messages of a queue as a consumer outside: they are yours for a while
    Receive(receive::Receive),
    /// Messages that were received are done
    Ack(settle::Ack),
    /// Messages that were received failed: try them again, or never
    Nack(settle::Nack),
    /// Hold messages that were received for longer
    Extend(settle::Extend),
    /// Give messages that were received back unhandled
    Release(settle::Release),
    /// Show all topics: who gets copies, and how many went nowhere
    Topics(topics::Topics),
    /// Show all queues: depths, rates, and what keeps them from delivering
    Queues(queues::Queues),
    /// Show the next messages of a queue; changes nothing
    Peek(peek::Peek),
    /// Show one message, wherever it is: waiting, in flight or dead
    Show(show::Show),
    /// Remove waiting messages for good, by their ids
    Cancel(cancel::Cancel),
    /// Change when a waiting message is due
    Move(reschedule::Move),
    /// Look at dead letters, take them back or remove them
    #[command(subcommand)]
    Dead(Box<dead::Dead>),
    /// Stop delivering from a queue; lasts over restarts
    Pause(pause::Pause),
    /// Deliver from a paused queue again, or from halted groups
    Resume(resume::Resume),
    /// Show the groups of a queue that are halted, since when and why
    Groups(groups::Groups),
    /// Remove messages of a queue for good; never what is in flight
    Purge(purge::Purge),
    /// Show the crontab: each entry with its last and its next tick; or run one by hand
    Cron(cron::Cron),
    /// Show the handlers of the running host, or inspect a module
    Handlers(handlers::Handlers),
    /// Make, list and revoke the tokens that let clients in over the network
    #[command(subcommand)]
    Token(token::Token),
    /// Check the store, give space back, back it up, or rescue a damaged one
    #[command(subcommand)]
    Store(store::Store),
    /// Make a project for a new handler, in a folder of its own
    New(create::New),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Print an example configuration, or the table of its keys
    #[command(subcommand)]
    Config(config::Config),
}

/// Runs the command that the arguments of the process ask for.
#[must_use]
pub fn main() -> ExitCode {
    // Children of our own read their arguments themselves, and before any thread starts.
    match std::env::args_os().nth(1) {
        Some(verb) if verb == "__compile" => return crate::runtime::compile_child_main(),
        Some(verb) if verb == store::VERIFY => return store::verify_child_main(),
        _ => {}
    }
    let cli = Cli::try_parse()
        .unwrap_or_else(|error| unknown::say_which_there_are(error, std::env::args_os()).exit());
    let screen = Screen::new(cli.global.json, cli.global.quiet);
    match run(cli, screen) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            report(&failure);
            failure.exit.into()
        }
    }
}

fn run(cli: Cli, screen: Screen) -> Result<(), Failure> {
    let global = &cli.global;
    match cli.verb {
        Verb::Serve(verb) => verb.run(global),
        Verb::Dev(verb) => verb.run(global),
        Verb::Probe(verb) => verb.run(global),
        Verb::Check(verb) => verb.run(global, screen),
        Verb::Send(verb) => wait_for(verb.run(global, screen)),
        Verb::SendBatch(verb) => wait_for(verb.run(global, screen)),
        Verb::Request(verb) => wait_for(verb.run(global, screen)),
        Verb::Reply(verb) => wait_for(verb.run(global, screen)),
        Verb::Receive(verb) => wait_for(verb.run(global, screen)),
        Verb::Ack(verb) => wait_for(verb.run(global, screen)),
        Verb::Nack(verb) => wait_for(verb.run(global, screen)),
        Verb::Extend(verb) => wait_for(verb.run(global, screen)),
        Verb::Release(verb) => wait_for(verb.run(global, screen)),
        Verb::Topics(verb) => wait_for(verb.run(global, screen)),
        Verb::Queues(verb) => wait_for(verb.run(global, screen)),
        Verb::Peek(verb) => wait_for(verb.run(global, screen)),
        Verb::Show(verb) => wait_for(verb.run(global, screen)),
        Verb::Cancel(verb) => wait_for(verb.run(global, screen)),
        Verb::Move(verb) => wait_for(verb.run(global, screen)),
        Verb::Dead(verb) => wait_for(verb.run(global, screen)),
        Verb::Pause(verb) => wait_for(verb.run(global, screen)),
        Verb::Resume(verb) => wait_for(verb.run(global, screen)),
        Verb::Groups(verb) => wait_for(verb.run(global, screen)),
        Verb::Purge(verb) => wait_for(verb.run(global, screen)),
        Verb::Cron(verb) => wait_for(verb.run(global, screen)),
        Verb::Handlers(verb) => wait_for(verb.run(global, screen)),
        Verb::Token(verb) => wait_for(verb.run(global, screen)),
        Verb::Store(verb) => verb.run(global, screen),
        Verb::New(verb) => verb.run(screen),
        Verb::Completions(verb) => verb.run(screen),
        Verb::Config(verb) => verb.run(screen),
    }
}

/// Runs a verb that waits for a host or a store; one thread does.
fn wait_for<T>(verb: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(verb)
}

fn report(failure: &Failure) {
    if failure.message.is_empty() {
        return;
    }
    // What a renderer wrote has its own colours and says itself that it is an error.
    if failure.rendered {
        eprintln!("{}", failure.message);
    } else {
        eprintln!("error: {}", text::lines(&failure.message));
    }
}

fn queue_name(name: &str) -> Result<QueueName, String> {
    QueueName::new(name).map_err(|error| error.to_string())
}

fn point_in_time(typed: &str) -> Result<Timestamp, String> {
    crate::api::one::time(typed).map_err(|problem| problem.detail)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for args in [
            &["send", "a b", "x"][..],
            &["send", "q"],
            &["send", "q", "x", "--file", "f"],
            &["send", "q", "x", "--attribute", "novalue"],
            &["send", "q", "x", "--delay", "soon"],
            &["send", "q", "x", "--at", "tomorrow"],
            &[
                "send",
                "q",
                "x",
                "--at",
                "2026-12-24T18:00:00Z",
                "--delay",
                "1s",
            ],
            &["send", "q", "x", "--priority", "10"],
            &["send", "q", "-", "--lines", "--dedup-id", "d"],
            &["purge", "q"],
            &["resume", "q", "--group", "g", "--all-groups"],
            &["dead", "show", "q", "not-an-id"],
            &["dead", "redrive", "q", "--reason", "bad-luck"],
            &["peek", "q", "-n", "0"],
            &["send", "q", "x", "--tracestate", "a=1"],
            &["send", "q", "x", "--causation-id", "7"],
            &["show", "not-an-id"],
            &["cancel"],
            &["receive", "q", "-n", "101"],
            &["receive", "q", "--wait", "61s"],
            &["ack", "q"],
            &["nack", "q", "r", "--reject", "--delay", "1s"],
            &["extend", "q", "r"],
            &["extend", "q", "r", "--visibility", "13h"],
            &["cron", "run"],
            &["cron", "run", "a/b"],
            &["move", "019a9b5e-7c11-7f00-8000-000000000001"],
            &[
                "move",
                "019a9b5e-7c11-7f00-8000-000000000001",
                "--now",
                "--delay",
                "1s",
            ],
            &[
                "move",
                "019a9b5e-7c11-7f00-8000-000000000001",
                "--at",
                "2026-12-24T18:00",
            ],
        ] {
            let parsed = Cli::try_parse_from([&["gristmill"], args].concat());
            assert_eq!(
                parsed.map(|_| ()).map_err(|error| error.exit_code()),
                Err(2),
                "{args:?}"
            );
        }
    }

    #[test]
    fn lines_come_from_stdin_unless_something_is_given() {
        Cli::try_parse_from(["gristmill", "send", "q", "--lines"]).unwrap();
    }

    #[test]
    fn global_options_stand_anywhere() {
        let cli = Cli::try_parse_from(["gristmill", "queues", "--json", "--config", "c"]).unwrap();
        assert!(cli.global.json && cli.global.config.as_os_str() == "c");
        Cli::try_parse_from(["gristmill", "--json", "purge", "q", "--ready", "--dead"]).unwrap();
    }
}
