//! What is said of a word that stands where a subcommand should: which there are.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::Cli;

/// Adds the subcommands to an error of this kind, and leaves others alone. `args` are those that were read.
pub(super) fn say_which_there_are(
    mut error: Error,
    args: impl IntoIterator<Item = OsString>,
) -> Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let mut whole = Cli::command();
    whole.build();
    let mut command = &whole;
    for arg in args {
        command = command.find_subcommand(arg).unwrap_or(command);
    }
    let there_are: Vec<_> = command
        .get_subcommands()
        .filter(|one| !one.is_hide_set())
        .map(|one| one.get_name())
        .collect();
    let name = command.get_bin_name().unwrap_or("gristmill");
    let tip = format!("after `{name}` comes one of: {}", there_are.join(", "));
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![tip.into()]),
    );
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn said(args: &[&str]) -> String {
        let args = || ["gristmill"].iter().chain(args).map(OsString::from);
        let error = Cli::try_parse_from(args()).map(|_| ()).unwrap_err();
        say_which_there_are(error, args()).to_string()
    }

    #[test]
    fn a_queue_in_the_place_of_a_subcommand_is_answered_with_those_there_are() {
        let said = said(&["--json", "dead", "greeter"]);
        let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[0], "error: unrecognized subcommand 'greeter'");
        let tip = "  tip: after `gristmill dead` comes one of: list, show, ";
        assert!(lines[1].starts_with(tip), "{said}");
    }

    #[test]
    fn what_is_nearly_right_is_suggested_still() {
        let said = said(&["dead", "lst"]);
        assert!(
            said.contains("a similar subcommand exists: 'list'"),
            "{said}"
        );
    }

    #[test]
    fn another_mistake_is_answered_as_ever() {
        assert!(!said(&["dead", "list", "--no-such"]).contains("comes one of"));
    }
}
