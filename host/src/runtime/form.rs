//! The forms that a handler may have, and which of them a module has.
//!
//! Knows names of exports only: not how a form is called, which is `forms/`, and nothing of compiled
//! code.

use super::linker::parse_version;

/// How a handler is called: what it exports decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `gristmill:queue/handler`, and `batch-handler` perhaps.
    Queue,
    /// `wasi:messaging/incoming-handler` of the published draft.
    Messaging,
    /// `wasi:http/incoming-handler`: the message is a request.
    Http,
    /// A program: `wasi:cli/run`, or a core module with `_start`.
    Command,
}

/// The entry of a core module that is a program.
pub(super) const START: &str = "_start";

impl Form {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Form; 4] = [Form::Queue, Form::Messaging, Form::Http, Form::Command];

    /// The name it goes by, in the configuration as well.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Form::Queue => "queue",
            Form::Messaging => "messaging",
            Form::Http => "http",
            Form::Command => "command",
        }
    }

    /// The interface that a component of this form exports.
    #[must_use]
    pub fn interface(self) -> &'static str {
        match self {
            Form::Queue => "gristmill:queue/handler",
            Form::Messaging => "wasi:messaging/incoming-handler",
            Form::Http => "wasi:http/incoming-handler",
            Form::Command => "wasi:cli/run",
        }
    }

    /// The versions of it that this host calls.
    pub(super) fn versions(self) -> &'static str {
        match self {
            Form::Queue => "0.1.x",
            Form::Messaging => "0.2.0-draft",
            Form::Http | Form::Command => "0.2.x",
        }
    }

    fn is_served(self, version: &str) -> bool {
        match self {
            Form::Messaging => version == self.versions(),
            Form::Queue => {
                parse_version(version).is_some_and(|(major, minor, _)| (major, minor) == (0, 1))
            }
            // What was published before 0.2.0 has other types.
            Form::Http | Form::Command => {
                !version.contains('-')
                    && parse_version(version)
                        .is_some_and(|(major, minor, _)| (major, minor) == (0, 2))
            }
        }
    }

    /// Whether an export is this form's, and of a version that this host calls.
    fn fits(self, export: &str) -> bool {
        match export.split_once('@') {
            Some((name, version)) => name == self.interface() && self.is_served(version),
            None => self == Form::Command && export == START,
        }
    }
}

/// Why a module has no form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It exports the entry of no form.
    None,
    /// Nor of the one that was asked for.
    NotAsked(Form),
    /// It exports those of several.
    Several(Vec<Form>),
    /// It exports that of a form in another version.
    OtherVersion(Form, String),
}

/// The form of a module with these exports; `asked` is what the configuration says.
pub(super) fn detect(exports: &[String], asked: Option<Form>) -> Result<Form, Misfit> {
    let fits = |form: &Form| exports.iter().any(|export| form.fits(export));
    if let Some(form) = asked {
        return match fits(&form) {
            true => Ok(form),
            false => Err(other_version(exports, &[form]).unwrap_or(Misfit::NotAsked(form))),
        };
    }
    let found: Vec<Form> = Form::ALL.into_iter().filter(fits).collect();
    match found[..] {
        [form] => Ok(form),
        [] => Err(other_version(exports, &Form::ALL).unwrap_or(Misfit::None)),
        _ => Err(Misfit::Several(found)),
    }
}

fn other_version(exports: &[String], forms: &[Form]) -> Option<Misfit> {
    let named = |form: Form| {
        let mut exports = exports.iter();
        exports.find(|export| {
            export
                .split_once('@')
                .is_some_and(|(name, _)| name == form.interface())
        })
    };
    forms
        .iter()
        .find_map(|&form| Some(Misfit::OtherVersion(form, named(form)?.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(exports: &[&str], asked: Option<Form>) -> Result<Form, Misfit> {
        let exports: Vec<String> = exports.iter().map(ToString::to_string).collect();
        detect(&exports, asked)
    }

    #[test]
    fn the_exports_decide() {
        let table = [
            ("gristmill:queue/handler@0.1.0", Form::Queue),
            ("gristmill:queue/handler@0.1.9", Form::Queue),
            (
                "wasi:messaging/incoming-handler@0.2.0-draft",
                Form::Messaging,
            ),
            ("wasi:http/incoming-handler@0.2.0", Form::Http),
            ("wasi:http/incoming-handler@0.2.12", Form::Http),
            ("wasi:cli/run@0.2.3", Form::Command),
            ("_start", Form::Command),
        ];
        for (export, form) in table {
            assert_eq!(found(&["memory", export], None), Ok(form), "{export}");
            assert_eq!(found(&[export], Some(form)), Ok(form), "{export}");
        }
    }

    #[test]
    fn none_and_several_are_no_form_unless_one_is_asked_for() {
        assert_eq!(found(&[], None), Err(Misfit::None));
        assert_eq!(
            found(&["handle", "gristmill:queue/batch-handler@0.1.0"], None),
            Err(Misfit::None)
        );
        let both = ["wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.0"];
        assert_eq!(
            found(&both, None),
            Err(Misfit::Several(vec![Form::Http, Form::Command]))
        );
        assert_eq!(found(&both, Some(Form::Command)), Ok(Form::Command));
        assert_eq!(
            found(&both, Some(Form::Queue)),
            Err(Misfit::NotAsked(Form::Queue))
        );
    }

    #[test]
    fn other_versions_are_told_apart_from_nothing() {
        let table = [
            ("gristmill:queue/handler@0.2.0", Form::Queue),
            ("wasi:messaging/incoming-handler@0.2.0", Form::Messaging),
            ("wasi:http/incoming-handler@0.3.0", Form::Http),
            ("wasi:http/incoming-handler@0.2.0-rc-2023-12-05", Form::Http),
            ("wasi:cli/run@0.3.0", Form::Command),
        ];
        for (export, form) in table {
            let other = Err(Misfit::OtherVersion(form, export.to_owned()));
            assert_eq!(found(&[export], None), other);
            assert_eq!(found(&[export], Some(form)), other);
        }
    }
}
