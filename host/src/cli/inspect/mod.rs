//! `gristmill handlers inspect`: what a module is, what it asks for, what it costs.
//!
//! Loads the module as the host would, but with everything granted that can be, so that what it asks
//! for is seen and not refused. Needs no host and no configuration; if there is one that names the
//! module, its limits hold. Calls the handler only if it is told to, and keeps nothing of that.

mod bench;
mod call;
mod grants;

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use gristmill_queue::{Timestamp, limits};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::parts::section;
use super::print::Screen;
use super::send::Said;
use super::{Global, handlers, text};
use crate::api::VersionView;
use crate::reload::read_module;
use crate::runtime::spec::MaxCalls;
use crate::runtime::{Format, HandlerVersion, Producers, Rehearsal};
use bench::Bench;
use call::Called;
use grants::{Permission, Wishes, permissions, refused_in_use};

#[derive(clap::Args, Debug)]
pub struct Inspect {
    /// The module
    file: PathBuf,
    /// Hand it one message with this body, or - for stdin, and show what it does: nothing is kept
    #[arg(long, value_name = "BODY")]
    call: Option<String>,
    #[command(flatten)]
    said: Said,
}

/// All that is found out.
#[derive(Serialize)]
struct Report {
    file: String,
    format: &'static str,
    size: u64,
    languages: Vec<String>,
    tools: Vec<String>,
    sdks: Vec<String>,
    /// Why it cannot serve.
    problem: Option<String>,
    /// How it was loaded, if it was.
    version: Option<VersionView>,
    exports: Vec<String>,
    batches: bool,
    initial_memory_bytes: Option<u64>,
    permissions: Vec<Permission>,
    refused_in_use: Vec<&'static str>,
    /// A configuration that grants all it asks for.
    toml: Option<String>,
    call: Option<Called>,
}

impl Inspect {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let body = self.call.as_deref().map(read_body).transpose()?;
        let bench = Bench::set_up(global, &self.file, screen)?;
        let limit = bench.config.host.sandbox.max_module_size;
        let module = read_module(&self.file, limit)
            .map_err(|problem| Failure::new(Exit::Failed, problem))?
            .ok_or_else(|| {
                let problem = format!("there is no file {}", self.file.display());
                Failure::new(Exit::NotFound, problem)
            })?;
        let mut report = Report::of(&self.file, &module);
        match bench.load(&module, None) {
            Err(problem) => report.problem = Some(problem),
            Ok(version) => {
                report.learn(&version, &bench);
                if let Some(body) = body {
                    let rehearsal = Rehearsal {
                        queue: bench.queue.clone(),
                        envelope: self.said.envelope(None),
                        body: body.into(),
                        now: now(),
                    };
                    let reusing = bench.load(&module, Some(MaxCalls::Fixed(u32::MAX)));
                    let reusing = reusing.map_err(|why| Failure::new(Exit::Failed, why))?;
                    report.call = Some(call::call(&rehearsal, &version, &reusing).await);
                }
                report.toml = Some(report.wishes(&bench).toml());
            }
        }
        if screen.json {
            screen.json(&report)?;
        } else {
            screen.result(&report.show())?;
        }
        let handled = report.call.as_ref().is_none_or(Called::is_done);
        match &report.problem {
            Some(problem) if !screen.json => Err(Failure::new(Exit::Failed, problem)),
            None if handled => Ok(()),
            _ => Err(Failure::silent(Exit::Failed)),
        }
    }
}

fn now() -> Timestamp {
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond());
    Timestamp::from_unix_ms(now.unwrap_or(0))
}

fn read_body(given: &str) -> Result<Vec<u8>, Failure> {
    if given != "-" {
        return Ok(given.as_bytes().to_vec());
    }
    let mut body = Vec::new();
    std::io::stdin()
        .take(limits::DEFAULT_MAX_BODY)
        .read_to_end(&mut body)?;
    Ok(body)
}

impl Report {
    /// What the file says of itself.
    fn of(file: &Path, module: &[u8]) -> Self {
        let producers = Producers::of(module);
        Report {
            file: file.display().to_string(),
            format: Format::of(file, module).as_str(),
            size: module.len() as u64,
            languages: producers.named("language").collect(),
            tools: producers.named("processed-by").collect(),
            sdks: producers.named("sdk").collect(),
            problem: None,
            version: None,
            exports: Vec::new(),
            batches: false,
            initial_memory_bytes: None,
            permissions: Vec::new(),
            refused_in_use: Vec::new(),
            toml: None,
            call: None,
        }
    }

    /// What loading it has told.
    fn learn(&mut self, version: &HandlerVersion, bench: &Bench) {
        let known = bench.known.as_ref().map(|spec| &spec.grants);
        self.version = Some(VersionView::of(version, now()));
        self.exports = version.exports().to_vec();
        self.batches = version.takes_batches();
        self.initial_memory_bytes = Some(version.sizes().initial_memory);
        self.permissions = permissions(version.imports(), known);
        self.refused_in_use = refused_in_use(version.imports());
    }

    fn wishes<'r>(&'r self, bench: &'r Bench) -> Wishes<'r> {
        let sent = self.call.iter().flat_map(|call| &call.sent);
        let (replies, sends): (Vec<_>, Vec<_>) = sent.partition(|sent| sent.reply);
        let file = bench.spec.path.file_name().and_then(|file| file.to_str());
        let imports = self.version.as_ref().map(|version| &*version.imports);
        Wishes {
            name: &bench.spec.name,
            queue: bench.queue.as_str(),
            file: file.unwrap_or_default(),
            imports: imports.unwrap_or_default(),
            sends_to: sends.into_iter().map(|sent| sent.to.clone()).collect(),
            replies: !replies.is_empty(),
        }
    }

    fn show(&self) -> String {
        let mut out = String::new();
        for (name, value) in self.facts() {
            let _ = writeln!(out, "{name:<12} {value}");
        }
        if self.version.is_none() {
            return out;
        }
        section(&mut out, "asks for", &self.requests());
        section(&mut out, "exports", &text::lines(&self.exports.join("\n")));
        if let Some(call) = &self.call {
            call.show(&mut out);
        }
        if let Some(toml) = &self.toml {
            let title = "in gristmill.toml: a queue for it, and what it asks for";
            section(&mut out, title, toml);
        }
        out
    }

    /// One fact on each line, as far as there are any.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let list = |names: &[String]| (!names.is_empty()).then(|| text::line(&names.join(", ")));
        let mut facts = vec![
            ("file", text::line(&self.file)),
            (
                "format",
                format!("{}, {}", self.format, text::size(self.size)),
            ),
        ];
        let known = [
            ("language", list(&self.languages)),
            ("built by", list(&self.tools)),
            ("SDK", list(&self.sdks)),
        ];
        let known = known.into_iter();
        facts.extend(known.filter_map(|(name, value)| Some((name, value?))));
        let Some(version) = &self.version else {
            return facts;
        };
        let compiled = match version.compile_ms {
            Some(ms) => format!("in {}", text::micros(ms.saturating_mul(1000))),
            None => "before: the code is from the cache".to_owned(),
        };
        let code = text::size(version.compiled_bytes);
        let batches = if self.batches { ", or several" } else { "" };
        let promised = match version.guarantee.as_str() {
            "atomic" => "atomic: an attempt that is cut off leaves no trace",
            _ => "at least once: what it does outside may happen again",
        };
        facts.extend([
            ("SHA-256", text::line(&version.hash)),
            ("form", text::line(&version.form)),
            ("takes", format!("one message at a time{batches}")),
            ("guarantee", promised.to_owned()),
            ("compiled", format!("{compiled}; {code} of machine code")),
            ("instances", handlers::reuse(version)),
        ]);
        if let Some(memory) = self.initial_memory_bytes {
            let to_start = format!("{} to start", text::size(memory));
            facts.push(("memory", to_start));
        }
        facts
    }

    fn requests(&self) -> String {
        let mut lines: Vec<String> = self.permissions.iter().map(Permission::line).collect();
        if !self.refused_in_use.is_empty() {
            lines.push(format!(
                "{}: libraries of its language do; whatever it tries with them fails",
                self.refused_in_use.join(" and ")
            ));
        }
        if lines.is_empty() {
            lines.push("nothing that has to be granted".to_owned());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_refused_still_says_what_it_is() {
        let module = wat::parse_str(r#"(module (@producers (language "Zig" "0.17")))"#).unwrap();
        let mut report = Report::of(Path::new("a/b.wasm"), &module);
        report.problem = Some("no".to_owned());
        let shown = report.show();
        assert!(
            shown.starts_with("file         a/b.wasm\nformat       core module, "),
            "{shown}"
        );
        assert!(shown.ends_with("language     Zig 0.17\n"), "{shown}");
    }
}
