//! Reading one table of the file, value by value.
//!
//! Knows TOML's types, and how to say that a value has the wrong one or is out of bounds. Does not
//! know what the keys mean. A bad value is noted and read as though it were absent, so that one run
//! finds every problem of a file; whoever reads on must not use the result once one was found.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::defaults;
use super::problem::{Place, Problems};
use super::{keys, spelling};

/// A value with its place, if the file has one.
pub type Given<T> = Option<Spanned<T>>;

/// A table of the file.
pub struct Section<'s, 'd> {
    /// Its name in full, without a dot at the end.
    pub path: String,
    /// Of a table that has a name of the user's choice: where it is, and its name.
    name: Option<(String, String)>,
    entries: &'s DeTable<'d>,
}

/// A key and its value in a table.
pub type Entry<'s, 'd> = (&'s Spanned<DeString<'d>>, &'s Spanned<DeValue<'d>>);

impl<'s, 'd> Section<'s, 'd> {
    /// The table at the root of the file.
    pub fn root(entries: &'s DeTable<'d>) -> Self {
        Section {
            path: String::new(),
            name: None,
            entries,
        }
    }

    /// The keys and values.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'s, 'd>> + use<'s, 'd> {
        self.entries.iter()
    }

    /// A key of this table, written in full.
    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{}", self.path, spelling::quoted(name))
        }
    }

    /// Notes every key that is not one of these.
    pub fn only(&self, known: &[&'static str], problems: &mut Problems<'_>) {
        for (name, value) in self.entries.iter() {
            if known.contains(&name.get_ref().as_ref()) {
                continue;
            }
            let here = spelling::nearest(name.get_ref(), known.iter().copied());
            let all = keys::reference().iter().map(|key| key.name);
            let meant = here.or_else(|| spelling::nearest(name.get_ref(), all));
            if meant.is_none_or(|meant| meant == "secrets") {
                // Whatever this is, it may be a secret in the wrong place.
                blot_out(value, problems);
            }
            let cure = match (here, meant) {
                (Some(here), _) => format!("did you mean `{here}`?"),
                (None, elsewhere) => self.cure_of_unknown(name, value, elsewhere, known),
            };
            let key = self.key(name.get_ref());
            problems.error(name.span(), &key, format!("unknown key `{key}`"), cure);
        }
    }

    fn cure_of_unknown(
        &self,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        elsewhere: Option<&str>,
        known: &[&str],
    ) -> String {
        let mut keys = keys::reference().iter();
        if let Some(key) = keys.find(|key| Some(key.name) == elsewhere) {
            return format!("did you mean `{}`?", key.path());
        }
        if let (Some((room, own)), true) = (&self.name, value.get_ref().is_table()) {
            let dotted = format!("{own}.{}", name.get_ref());
            return format!("a name with a dot needs quotes: [{room}.{dotted:?}]");
        }
        format!("known here: {}", known.join(", "))
    }

    /// Notes that a value has another type than is wanted.
    pub fn wrong_type(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
        cure: &str,
        problems: &mut Problems<'_>,
    ) {
        let key = self.key(name);
        let message = format!("`{key}` must be {wanted}, not {}", article(value.get_ref()));
        problems.error(
            value.span(),
            &key,
            message,
            (!cure.is_empty()).then(|| cure.to_owned()),
        );
    }

    /// Notes that a value is wrong; `message` goes on after the key's name.
    pub fn bad(
        &self,
        name: &str,
        place: Place,
        message: &str,
        cure: impl Into<Option<String>>,
        problems: &mut Problems<'_>,
    ) {
        let key = self.key(name);
        problems.error(place, &key, format!("`{key}` {message}"), cure.into());
    }

    /// A table within this one.
    pub fn table(&self, name: &str, problems: &mut Problems<'_>) -> Option<Section<'s, 'd>> {
        let value = self.entries.get(name)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(Section {
                path: self.key(name),
                name: None,
                entries,
            }),
            _ => {
                let of_many = matches!(
                    self.key(name).as_str(),
                    "queue" | "topic" | "handler" | "cron"
                );
                let cure = format!(
                    "write [{}{}]",
                    self.key(name),
                    if of_many { ".NAME" } else { "" }
                );
                self.wrong_type(name, value, "a table", &cure, problems);
                None
            }
        }
    }

    /// The table that is the value of a key in some form.
    pub fn table_of(&self, name: &str, value: &'s Spanned<DeValue<'d>>) -> Option<Self> {
        let entries = value.get_ref().as_table()?;
        Some(Section {
            path: self.key(name),
            name: None,
            entries,
        })
    }

    /// The tables, or lists of tables, within this one, which carry names of the user's choice.
    pub fn lists_of_tables(
        &self,
        problems: &mut Problems<'_>,
    ) -> Vec<(Spanned<String>, Vec<Section<'s, 'd>>)> {
        let mut lists = Vec::new();
        for (name, value) in self.entries.iter() {
            let key = name.get_ref();
            let tables: Option<Vec<_>> = match value.get_ref() {
                DeValue::Array(items) if !items.is_empty() => {
                    items.iter().map(|item| self.table_of(key, item)).collect()
                }
                _ => self.table_of(key, value).map(|table| vec![table]),
            };
            match tables {
                Some(tables) => lists.push((owned(name), tables)),
                None => self.wrong_type(key, value, "a table, or a list of them", "", problems),
            }
        }
        lists
    }

    /// The tables within this one, which carry names of the user's choice.
    pub fn named_tables(
        &self,
        problems: &mut Problems<'_>,
    ) -> Vec<(Spanned<String>, Section<'s, 'd>)> {
        let mut tables = Vec::new();
        for (name, value) in self.entries.iter() {
            if let DeValue::Table(entries) = value.get_ref() {
                let path = self.key(name.get_ref());
                let name_in = Some((self.path.clone(), name.get_ref().to_string()));
                let section = Section {
                    path,
                    name: name_in,
                    entries,
                };
                tables.push((owned(name), section));
            } else {
                let key = self.key(name.get_ref());
                let cure = format!(
                    "name the {0} it is meant for, as in [{0}.orders]",
                    self.path
                );
                problems.error(name.span(), &key, format!("`{key}` is not a table"), cure);
            }
        }
        tables
    }

    /// A text.
    pub fn text(&self, name: &str, problems: &mut Problems<'_>) -> Given<String> {
        let value = self.entries.get(name)?;
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(name, value, "a text", "write it in quotes", problems);
            return None;
        };
        Some(Spanned::new(value.span(), text.to_string()))
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str, problems: &mut Problems<'_>) -> Given<bool> {
        let value = self.entries.get(name)?;
        let DeValue::Boolean(flag) = value.get_ref() else {
            self.wrong_type(
                name,
                value,
                "true or false",
                "write true or false, without quotes",
                problems,
            );
            return None;
        };
        Some(Spanned::new(value.span(), *flag))
    }

    /// One of several words.
    pub fn choice<T: Copy>(
        &self,
        name: &str,
        words: &[(&'static str, T)],
        problems: &mut Problems<'_>,
    ) -> Given<T> {
        let text = self.text(name, problems)?;
        if let Some((_, chosen)) = words.iter().find(|(word, _)| word == text.get_ref()) {
            return Some(Spanned::new(text.span(), *chosen));
        }
        let names = || words.iter().map(|(word, _)| *word);
        let cure = spelling::did_you_mean(text.get_ref(), names());
        let quoted: Vec<String> = names().map(|word| format!("\"{word}\"")).collect();
        let message = format!("must be {}", quoted.join(" or "));
        self.bad(name, text.span(), &message, cure, problems);
        None
    }

    /// A list of texts.
    pub fn list(&self, name: &str, problems: &mut Problems<'_>) -> Given<Vec<Spanned<String>>> {
        let value = self.entries.get(name)?;
        let DeValue::Array(items) = value.get_ref() else {
            let cure = match value.get_ref() {
                DeValue::String(text) => format!("write [\"{text}\"]"),
                _ => "write texts in brackets, such as [\"invoices\"]".to_owned(),
            };
            self.wrong_type(name, value, "a list", &cure, problems);
            return None;
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(Spanned::new(item.span(), text.to_string())),
                _ => self.wrong_type(name, item, "a list of texts", "", problems),
            }
        }
        Some(Spanned::new(value.span(), texts))
    }

    /// Names of the user's choice, each with a text.
    pub fn pairs(&self, name: &str, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
        let Some(table) = self.table(name, problems) else {
            return BTreeMap::new();
        };
        table.check_names(problems);
        let mut pairs = BTreeMap::new();
        for (name, value) in table.entries() {
            let name = name.get_ref().to_string();
            let Some(text) = table.text(&name, problems) else {
                continue;
            };
            if text.get_ref().len() > defaults::MAX_PAIR_VALUE {
                let message = format!("is longer than {} bytes", defaults::MAX_PAIR_VALUE);
                table.bad(&name, value.span(), &message, None, problems);
            }
            if text.get_ref().contains('\0') {
                table.bad(
                    &name,
                    value.span(),
                    "has a NUL character in it",
                    None,
                    problems,
                );
            }
            pairs.insert(name, text.into_inner());
        }
        pairs
    }

    /// Notes names that no environment and no store could carry, and too many of them.
    pub fn check_names(&self, problems: &mut Problems<'_>) {
        for (count, (name, _)) in self.entries.iter().enumerate() {
            let text = name.get_ref();
            if text.is_empty() || text.len() > defaults::MAX_PAIR_NAME || text.contains(['=', '\0'])
            {
                let key = self.key(text);
                let message = format!("{text:?} cannot be a name in `{}`", self.path);
                let cure = format!("use 1 to {} bytes, without '='", defaults::MAX_PAIR_NAME);
                problems.error(name.span(), &key, message, cure);
            }
            if count == defaults::MAX_PAIRS {
                let message = format!(
                    "`{}` has more than {} entries",
                    self.path,
                    defaults::MAX_PAIRS
                );
                problems.error(name.span(), &self.path, message, None);
            }
        }
    }

    /// The value of a key as it stands, for keys that may have several forms.
    pub fn raw(&self, name: &str) -> Option<&'s Spanned<DeValue<'d>>> {
        self.entries.get(name)
    }

    /// Notes values that are the same text, given twice.
    pub fn note_twice(&self, name: &str, items: &[Spanned<String>], problems: &mut Problems<'_>) {
        let mut seen = BTreeSet::new();
        for item in items {
            if !seen.insert(item.get_ref()) {
                let key = self.key(name);
                let message = format!("`{key}` names {:?} twice", item.get_ref());
                problems.warning(item.span(), &key, message, None);
            }
        }
    }
}

/// Keeps the values of a key and of all below it out of the messages.
pub fn blot_out(value: &Spanned<DeValue<'_>>, problems: &mut Problems<'_>) {
    if let DeValue::Table(entries) = value.get_ref() {
        for (_, value) in entries.iter() {
            blot_out(value, problems);
        }
    } else {
        problems.blot_out(value.span());
    }
}

/// A key with its text kept.
pub fn owned(name: &Spanned<DeString<'_>>) -> Spanned<String> {
    Spanned::new(name.span(), name.get_ref().to_string())
}

/// The type of a value, in words.
fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
