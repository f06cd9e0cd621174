//! Secrets: where they come from, and fetching them.
//!
//! Knows that a secret is never written in the file. One that was, by mistake, is refused and kept
//! out of every message, like whatever else stands in its place.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::problem::Problems;
use super::section::{Section, blot_out, owned};
use super::{Surroundings, defaults};
use crate::runtime::spec::Secret;

const CURE: &str = "name where it is: { env = \"VARIABLE\" } or { file = \"path\" }";

/// Where a secret comes from, and the key that says so.
#[derive(Clone)]
pub struct RawSecret {
    key: String,
    from: Spanned<Source>,
}

#[derive(Clone)]
enum Source {
    /// A variable of the host's environment.
    Env(String),
    /// A file, relative to the configuration's.
    File(String),
}

/// Reads `secrets` of a handler.
pub fn read(handler: &Section<'_, '_>, problems: &mut Problems<'_>) -> BTreeMap<String, RawSecret> {
    if let Some(value) = handler.raw("secrets") {
        blot_out_secrets(value, problems);
    }
    let Some(secrets) = handler.table("secrets", problems) else {
        return BTreeMap::new();
    };
    secrets.check_names(problems);
    let mut read = BTreeMap::new();
    for (name, value) in secrets.entries() {
        let name = owned(name);
        let key = secrets.key(name.get_ref());
        if !value.get_ref().is_table() {
            let message = format!("`{key}`: a secret is never written in this file");
            problems.error(value.span(), &key, message, CURE.to_owned());
        } else if let Some(table) = secrets.table(name.get_ref(), problems)
            && let Some(from) = read_source(&name, &table, problems)
        {
            read.insert(name.into_inner(), RawSecret { key, from });
        }
    }
    read
}

fn read_source(
    name: &Spanned<String>,
    table: &Section<'_, '_>,
    problems: &mut Problems<'_>,
) -> Option<Spanned<Source>> {
    table.only(&["env", "file"], problems);
    let key = &table.path;
    let env = table.text("env", problems);
    let file = table.text("file", problems);
    match (env, file) {
        (Some(env), None) => Some(Spanned::new(env.span(), Source::Env(env.into_inner()))),
        (None, Some(file)) => Some(Spanned::new(file.span(), Source::File(file.into_inner()))),
        (Some(_), Some(_)) => {
            let message = format!("`{key}` names both a variable and a file");
            problems.error(name.span(), key, message, "keep one of them".to_owned());
            None
        }
        (None, None) => {
            // A wrong type or an unknown key has been noted already.
            if table.entries().next().is_none() {
                problems.error(
                    name.span(),
                    key,
                    format!("`{key}` comes from nowhere"),
                    CURE.to_owned(),
                );
            }
            None
        }
    }
}

/// Keeps everything out of the messages that may be a secret: all but where secrets are.
fn blot_out_secrets(value: &Spanned<DeValue<'_>>, problems: &mut Problems<'_>) {
    let DeValue::Table(secrets) = value.get_ref() else {
        return blot_out(value, problems);
    };
    for (_, secret) in secrets.iter() {
        let DeValue::Table(entries) = secret.get_ref() else {
            blot_out(secret, problems);
            continue;
        };
        for (name, value) in entries.iter() {
            if !matches!(name.get_ref().as_ref(), "env" | "file") {
                blot_out(value, problems);
            }
        }
    }
}

/// Fetches the secrets of a handler; paths are relative to `base`.
pub fn fetch(
    raw: &BTreeMap<String, RawSecret>,
    base: &Path,
    around: &Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, Secret> {
    let mut secrets = BTreeMap::new();
    for (name, RawSecret { key, from }) in raw {
        let fetched = match from.get_ref() {
            Source::Env(variable) => from_env(variable, around),
            Source::File(path) => from_file(&base.join(path), around),
        };
        let fetched = fetched.and_then(within_limits);
        match fetched {
            Ok(value) => {
                secrets.insert(name.clone(), Secret::new(value));
            }
            Err((what, cure)) => problems.error(from.span(), key, format!("`{key}`: {what}"), cure),
        }
    }
    secrets
}

/// What is wrong, and the cure.
type Unfetched = (String, String);

fn from_env(variable: &str, around: &Surroundings<'_>) -> Result<String, Unfetched> {
    (around.env)(variable).ok_or_else(|| {
        let what = format!("the environment variable {variable:?} is not set");
        (
            what,
            "set it where the host is started, or name another".to_owned(),
        )
    })
}

fn from_file(path: &Path, around: &Surroundings<'_>) -> Result<String, Unfetched> {
    let mut value = (around.read)(path).map_err(|error| {
        let what = format!("{} cannot be read: {error}", path.display());
        (
            what,
            "make it a text file that the host may read".to_owned(),
        )
    })?;
    // Editors and `echo` end a file with a newline that is no part of the secret.
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(value)
}

fn within_limits(value: String) -> Result<String, Unfetched> {
    if value.is_empty() {
        return Err((
            "it is empty".to_owned(),
            "give it a value, or remove it here".to_owned(),
        ));
    }
    if value.len() > defaults::MAX_PAIR_VALUE {
        let what = format!("it is longer than {} bytes", defaults::MAX_PAIR_VALUE);
        return Err((
            what,
            "a secret is a password or a key; leave larger things in a file".to_owned(),
        ));
    }
    Ok(value)
}

/// Reads a text file of at most `limit` bytes and perhaps a few more.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    // One byte more than allowed tells that there are more.
    file.take(limit + 1).read_to_string(&mut text)?;
    Ok(text)
}
