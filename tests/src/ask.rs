//! What is asked of a host: through the command line, and through its socket.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::host::{LOOK_AGAIN, PATIENCE};
use crate::{Host, Queue, gristmill};

/// What a command said.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it is for.
    pub stdout: String,
    /// Remarks and errors.
    pub stderr: String,
}

impl Host {
    /// `gristmill` with these arguments, in the folder.
    ///
    /// # Errors
    /// When the program does not build.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(gristmill()?);
        command
            .current_dir(self.folder())
            .env_remove("GRISTMILL_CONFIG")
            .env_remove("RUST_BACKTRACE")
            .env("NO_COLOR", "1")
            .envs(self.environment())
            .stdin(Stdio::null())
            .args(args);
        Ok(command)
    }

    /// Runs `gristmill` with these arguments to its end.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        let output = self.command(args)?.output()?;
        Ok(Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that has to succeed, and returns what it is for.
    ///
    /// # Errors
    /// When it fails.
    pub fn done(&self, args: &[&str]) -> Result<String> {
        let output = self.run(args)?;
        ensure!(
            output.code == Some(0),
            "`gristmill {}` ends with {:?}:\n{}{}",
            args.join(" "),
            output.code,
            output.stdout,
            output.stderr
        );
        Ok(output.stdout)
    }

    /// Runs a command with `--json`.
    ///
    /// # Errors
    /// When it fails, or what it prints is not JSON.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let printed = self.done(&[args, &["--json"]].concat())?;
        serde_json::from_str(&printed).with_context(|| format!("not JSON: {printed}"))
    }

    /// Sends a message through the socket, and returns its id.
    ///
    /// # Errors
    /// When it is not taken.
    pub fn send(&self, queue: &str, body: &str) -> Result<String> {
        let path = format!("/v1/queues/{queue}/messages");
        let answer = self.socket().post(&path, &[], body.as_bytes())?;
        let id = answer.json()["id"].as_str().map(str::to_owned);
        id.with_context(|| format!("not taken: {} {}", answer.status, answer.text))
    }

    /// Sends many, in batches, and returns their ids.
    ///
    /// # Errors
    /// When one is not taken.
    pub fn send_all(&self, queue: &str, bodies: &[String]) -> Result<Vec<String>> {
        let path = format!("/v1/queues/{queue}/messages/batch");
        let mut ids = Vec::with_capacity(bodies.len());
        for bodies in bodies.chunks(1000) {
            let messages: Vec<Value> = bodies
                .iter()
                .map(|body| serde_json::json!({ "body": body }))
                .collect();
            let batch = serde_json::json!({ "messages": messages }).to_string();
            let json = [("Content-Type", "application/json")];
            let answer = self.socket().post(&path, &json, batch.as_bytes())?;
            let items = answer.json()["items"].as_array().cloned();
            let items = items.with_context(|| format!("{} {}", answer.status, answer.text))?;
            ids.extend(
                items
                    .iter()
                    .filter_map(|sent| Some(sent["id"].as_str()?.to_owned())),
            );
        }
        Ok(ids)
    }

    /// All queues of the running host.
    ///
    /// # Errors
    /// When none runs.
    pub fn queues(&self) -> Result<Vec<Queue>> {
        let answer = self.socket().get("/v1/queues")?.json();
        let items = answer["items"].as_array().context("a list of queues")?;
        Ok(items.iter().map(Queue::of).collect())
    }

    /// One queue of the running host.
    ///
    /// # Errors
    /// When none runs, or there is no such queue.
    pub fn queue(&self, name: &str) -> Result<Queue> {
        let found = self.queues()?.into_iter().find(|queue| queue.name == name);
        found.with_context(|| format!("there is no queue {name}"))
    }

    /// All dead letters of a queue, as the host lists them.
    ///
    /// # Errors
    /// When none runs.
    pub fn dead(&self, queue: &str) -> Result<Vec<Value>> {
        let (mut letters, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/queues/{queue}/dead?limit=1000{cursor}");
            let page = self.socket().get(&path)?;
            let json = page.json();
            let items = json["items"].as_array();
            letters.extend(items.with_context(|| page.text.clone())?.iter().cloned());
            match json["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(letters),
            }
        }
    }

    /// One dead letter in full.
    ///
    /// # Errors
    /// When none runs, or there is no such letter.
    pub fn dead_letter(&self, queue: &str, id: &str) -> Result<Value> {
        let answer = self
            .socket()
            .get(&format!("/v1/queues/{queue}/dead/{id}"))?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
        Ok(answer.json())
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// When it does not in time; with the log of the host.
    pub fn wait_until(
        &self,
        what: &str,
        mut holds: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let began = Instant::now();
        while !holds(self)? {
            if began.elapsed() > PATIENCE {
                let queues = self.queues();
                bail!(
                    "{what}: not in time. Queues: {queues:#?}\nLog:\n{}",
                    self.log()
                );
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Waits until nothing in these queues is left to be done.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn wait_settled(&self, queues: &[&str]) -> Result<()> {
        self.wait_until(&format!("{queues:?} are settled"), |host| {
            let all = host.queues()?;
            Ok(queues.iter().all(|name| {
                all.iter()
                    .any(|queue| queue.name == *name && queue.is_settled())
            }))
        })
    }
}
