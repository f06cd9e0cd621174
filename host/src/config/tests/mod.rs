//! Tests of the configuration as a whole: text in, configuration or messages out.

mod api;
mod bad_batches;
mod bad_flow;
mod bad_names;
mod bad_secrets;
mod bad_topics;
mod bad_values;
mod build;
mod change;
mod cron;
mod example;
mod good;
mod limits;
mod mutation;
mod sqs;

use std::io;
use std::path::Path;

use super::{Config, ConfigErrors, Surroundings, parse};

/// Reads a text in surroundings that are always the same: one variable, one file, two cores.
fn read(text: &str) -> Result<Config, ConfigErrors> {
    let around = Surroundings {
        env: &|name| match name {
            "API_KEY" => Some("from the environment".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        },
        read: &|path| match path.to_str() {
            Some("/run/secrets/password" | "etc/password") => Ok("from a file\n".to_owned()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
        },
        cores: 2,
    };
    parse(text, Path::new("etc/gristmill.toml"), &around)
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn bad(text: &str) -> ConfigErrors {
    match read(text) {
        Ok(config) => panic!("taken: {config:#?}"),
        Err(errors) => errors,
    }
}

/// Checks what is said about a text, word for word, and that the places that machines are told are
/// those that people see.
fn told(text: &str, expected: &str) {
    let errors = bad(text);
    for problem in &errors.problems {
        let place = format!("etc/gristmill.toml:{}:{}\n", problem.line, problem.column);
        assert!(
            problem.render(false).contains(&place),
            "{place}{}",
            problem.render(false)
        );
    }
    let rendered = errors.to_string();
    assert!(
        rendered == expected,
        "said:\n{rendered}\n\nexpected:\n{expected}"
    );
}
