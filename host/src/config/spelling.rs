//! Names as people write them: quoted where TOML wants it, and what was probably meant by a wrong one.

use super::defaults;

/// A name as it stands in a key: with quotes if it needs them.
pub fn quoted(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if bare {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// The name in `known` that was probably meant by `typed`, if one is near.
///
/// Hyphens count as underscores and case does not matter. One slip is allowed for every three
/// characters, so that short names are not guessed at random.
pub fn nearest<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    if typed.len() > defaults::MAX_EXCERPT {
        return None;
    }
    let typed = plain(typed);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed, &plain(name)), name))
        .filter(|(distance, name)| *distance <= name.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// "did you mean …?", if one of `known` is near.
pub fn did_you_mean<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(typed, known).map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["timeout", "max_timeout", "cpu_time", "ttl", "env"];
        for (typed, meant) in [
            ("timout", Some("timeout")),
            ("max-timeout", Some("max_timeout")),
            ("Timeout", Some("timeout")),
            ("tll", Some("ttl")),
            ("evn", Some("env")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
