//! Whatever is done to the example, reading it does not panic, and what is taken holds together.

use proptest::prelude::*;

use super::read;
use crate::config::{Config, EXAMPLE, defaults};

/// The example with every line in force that can be.
fn dense() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.split(' ').nth(1) == Some("=") => rest,
        _ if line.starts_with('#') => "",
        _ => line,
    });
    let kept: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    kept.join("\n")
}

#[derive(Clone, Debug)]
enum Edit {
    /// Replaces so many characters from here on by a text.
    Replace(prop::sample::Index, usize, String),
    /// Puts one line in place of another.
    Move(prop::sample::Index, prop::sample::Index),
    /// Gives another value to a key.
    Assign(prop::sample::Index, &'static str),
    /// Cuts the text off.
    Cut(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let text = prop_oneof![
        Just("=".to_owned()),
        Just("\"".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("\n".to_owned()),
        Just(".".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("-1".to_owned()),
        Just("0".to_owned()),
        Just("1e400".to_owned()),
        Just("[[queue]]\n".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("\r\n".to_owned()),
        Just("\r".to_owned()),
        Just("\"\\u0000\"".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("\u{feff}".to_owned()),
        ".{0,5}",
    ];
    let at = any::<prop::sample::Index>;
    prop_oneof![
        6 => (at(), 0..6usize, text).prop_map(|(at, len, text)| Edit::Replace(at, len, text)),
        3 => (at(), at()).prop_map(|(from, to)| Edit::Move(from, to)),
        1 => at().prop_map(Edit::Cut),
    ]
}

/// Other values, most of which suit some key.
fn assign() -> impl Strategy<Value = Edit> {
    const VALUES: [&str; 24] = [
        "0",
        "1",
        "-1",
        "7",
        "1000",
        "10000",
        "2.5",
        "nan",
        "true",
        "[]",
        "{}",
        "[\"orders\"]",
        "\"\"",
        "\"0s\"",
        "\"1ms\"",
        "\"20s\"",
        "\"1h\"",
        "\"12h\"",
        "\"1d\"",
        "\"1KiB\"",
        "\"1MiB\"",
        "\"a.wasm\"",
        "\"handlers/a\"",
        "{ base = \"1d\" }",
    ];
    (
        any::<prop::sample::Index>(),
        prop::sample::select(&VALUES[..]),
    )
        .prop_map(|(at, value)| Edit::Assign(at, value))
}

/// A few changes: some keep the text TOML, some do not mind.
fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop_oneof![
        prop::collection::vec(assign(), 1..4),
        prop::collection::vec(prop_oneof![edit(), assign()], 1..6),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    match edit {
        Edit::Replace(at, len, with) => {
            let at = at.index(chars.len() + 1);
            let end = (at + len).min(chars.len());
            chars.splice(at..end, with.chars());
            chars.into_iter().collect()
        }
        Edit::Move(from, to) => {
            let mut lines: Vec<&str> = text.lines().collect();
            if !lines.is_empty() {
                let (from, to) = (from.index(lines.len()), to.index(lines.len()));
                lines[to] = lines[from];
            }
            lines.join("\n")
        }
        Edit::Assign(at, value) => {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let keys: Vec<usize> = (0..lines.len())
                .filter(|at| lines[*at].contains(" = "))
                .collect();
            if !keys.is_empty() {
                let line = &mut lines[keys[at.index(keys.len())]];
                let name = line.split(" = ").next().unwrap_or_default().to_owned();
                *line = format!("{name} = {value}");
            }
            lines.join("\n")
        }
        Edit::Cut(at) => chars[..at.index(chars.len() + 1)].iter().collect(),
    }
}

/// What every configuration keeps, whatever was typed.
fn holds_together(config: &Config) {
    let host = &config.host;
    assert!((1..=1024).contains(&host.threads) && (1..=10_000).contains(&host.max_in_flight));
    assert!(
        !host.data_dir.starts_with(&host.handlers) && !host.handlers.starts_with(&host.data_dir)
    );
    for queue in config.queues.values() {
        let policy = &queue.policy;
        assert!(policy.concurrency >= 1 && policy.retry.max_attempts >= 1);
        assert!(policy.retry.factor >= 1.0 && policy.retry.factor.is_finite());
        assert!(policy.retry.base <= policy.retry.cap);
        assert!((1..=gristmill_queue::limits::MAX_BODY).contains(&policy.max_body));
        assert!(
            policy
                .max_bytes
                .is_none_or(|bytes| bytes >= policy.max_body)
        );
        assert!(policy.max_messages.is_none_or(|messages| messages >= 1));
        let window = policy.dedup_window.as_secs();
        assert!((20..=7 * 86_400).contains(&window));
        assert!(policy.dead_retention.is_none_or(|time| !time.is_zero()));
        if let Some(name) = &queue.handler {
            assert!(config.handlers.contains_key(name), "{name}");
        }
    }
    for (name, handler) in &config.handlers {
        assert_eq!(*name, handler.name);
        assert_eq!(handler.path.parent(), Some(host.handlers.as_path()));
        assert!(handler.limits.timeout <= handler.limits.max_timeout);
        assert!(!handler.limits.timeout.is_zero() && !handler.limits.cpu_time.is_zero());
        assert!(handler.limits.memory >= 65_536);
        for (queue, size) in handler.grants.send_to.iter() {
            assert_eq!(config.queues[queue].policy.max_body, *size);
        }
        assert!(handler.grants.env.keys().all(|name| !name.contains('=')));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_the_example_is_taken_wrongly(edits in edits()) {
        let text = edits.iter().fold(dense(), |text, edit| apply(&text, edit));
        match read(&text) {
            Ok(config) => {
                holds_together(&config);
                for queue in config.queues.keys() {
                    prop_assert_eq!(config.fingerprint(queue).unwrap().len(), 16);
                }
            }
            Err(errors) => {
                prop_assert!(!errors.problems.is_empty());
                prop_assert!(errors.problems.len() <= defaults::MAX_PROBLEMS);
                for problem in &errors.problems {
                    prop_assert!(problem.line >= 1 && problem.column >= 1);
                    prop_assert!(problem.line <= text.lines().count() + 1);
                }
                prop_assert!(!errors.to_string().is_empty());
                prop_assert!(!errors.render(true).is_empty());
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        if let Err(errors) = read(&text) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }
}

#[test]
fn the_dense_example_is_taken_as_it_stands() {
    holds_together(&read(&dense()).unwrap_or_else(|errors| panic!("{errors}")));
}
