//! The main job in one command: orders and pictures through real handlers, and what became of each.
//!
//! Builds the host and the example handlers, starts the host in a fresh folder, sends it good, bad
//! and hostile messages, waits until all is settled, shows what happened and adds it up. Ends with
//! an error if a single message is not accounted for.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Display, Path, PathBuf};
use std::process::{ExitCode, exit};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gristmill_tests::{Host, Queue, gristmill, guests, workspace};
use rustix::process::{Pid, Signal, kill_process};

const HELP: &str = "\
Shows Gristmill at work: builds it, runs it, sends messages, and adds up what became of them.

usage: cargo demo [-- OPTIONS]

  --stay        keep the host running afterwards, and say what to try
  --keep DIR    use this folder, which must be empty or new, instead of target/demo
  --help        this text";

const CONFIG: &str = include_str!("demo.toml");

/// Messages that try to do harm, and what they do.
const HOSTILE: [&str; 6] = [
    "trap the mill is jammed",
    "spin",
    "memory",
    "recurse",
    "exit 3",
    "then-trap",
];

/// Within this time all has to be settled.
const PATIENCE: Duration = Duration::from_secs(120);

struct Options {
    stay: bool,
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(()), |options| demo(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>> {
    let mut options = Options {
        stay: false,
        folder: None,
    };
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            // The alias has one already, and so has who types `cargo demo -- --stay`.
            Some("--") => {}
            Some("--stay") => options.stay = true,
            Some("--keep") => {
                let folder = args.next().context("--keep needs a folder")?;
                options.folder = Some(PathBuf::from(folder));
            }
            Some("--help" | "-h") => {
                println!("{HELP}");
                return Ok(None);
            }
            _ => bail!("{} is not known\n\n{HELP}", arg.display()),
        }
    }
    Ok(Some(options))
}

fn demo(options: &Options) -> Result<()> {
    say("building the program (the first time takes minutes: it holds a compiler)");
    gristmill()?;
    say("building the example handlers");
    guests()?;
    let folder = fresh_folder(options)?;
    let mut host = Host::at(
        &folder,
        CONFIG,
        &["orders", "sink", "thumbnail", "misbehave"],
    )?;
    say("starting the host, which compiles the handlers");
    host.start()?;
    stop_with(host.pid().context("the host runs")?);
    wait_for_handlers(&host)?;
    let began = Instant::now();
    let sent = send(&host)?;
    let queues = settle(&host)?;
    say(&format!(
        "settled after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    show(&host, &queues)?;
    account(&sent, &queues)?;
    advise(&mut host, options.stay)
}

fn say(what: &str) {
    eprintln!("==> {what}");
}

fn fresh_folder(options: &Options) -> Result<PathBuf> {
    if let Some(folder) = &options.folder {
        let mut entries = fs::read_dir(folder).into_iter().flatten();
        ensure!(
            entries.next().is_none(),
            "{} is not empty: name a new folder",
            folder.display()
        );
        return Ok(folder.clone());
    }
    let target = gristmill()?.ancestors().nth(2).context("a target folder")?;
    let folder = target.join("demo");
    let socket = gristmill_tests::Socket::new(&folder.join("gristmill-data/gristmill.sock"));
    ensure!(
        socket.get("/livez").is_err(),
        "a host of an earlier demo still runs in {}: stop it first",
        folder.display()
    );
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    Ok(folder)
}

/// Whatever ends the demo ends the host too.
fn stop_with(host: Pid) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut terminate) = signal(SignalKind::terminate()) else {
                return;
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            // It may have got the signal too, or have ended already.
            let _ = kill_process(host, Signal::TERM);
            eprintln!("\nstopped; the host finishes what it has begun and ends too");
            exit(130);
        });
    });
}

fn wait_for_handlers(host: &Host) -> Result<()> {
    host.wait_until("the handlers are compiled and serve", |host| {
        let handlers = host.socket().get("/v1/handlers")?.json();
        let handlers = handlers["items"].as_array().cloned().unwrap_or_default();
        for handler in &handlers {
            ensure!(
                handler["status"] != "refused",
                "{} is refused: {}",
                handler["name"],
                handler["problem"]
            );
        }
        Ok(handlers.len() == 4 && handlers.iter().all(|one| one["status"] == "serving"))
    })
}

/// What was sent from outside: queues, and how many messages each.
type Sent = Vec<(&'static str, u64)>;

fn send(host: &Host) -> Result<Sent> {
    let handlers = workspace().join("handlers");
    let orders = handlers.join("orders/samples/orders.jsonl");
    let lines = fs::read_to_string(&orders)?.lines().count();
    say(&format!(
        "sending {lines} orders: good, wrong, flaky and hopeless ones"
    ));
    host.done(&["send", "orders", "--lines", "--file", text(&orders)?])?;
    let pictures: Vec<PathBuf> = fs::read_dir(handlers.join("thumbnail/samples"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    say(&format!(
        "sending {} pictures, one of them broken",
        pictures.len()
    ));
    for picture in &pictures {
        host.done(&["send", "images", "--file", text(picture)?])?;
    }
    say(&format!(
        "sending {} messages that try to do harm",
        HOSTILE.len()
    ));
    for hostile in HOSTILE {
        host.done(&["send", "hostile", hostile])?;
    }
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Ok(vec![
        ("orders", count(lines)),
        ("images", count(pictures.len())),
        ("hostile", count(HOSTILE.len())),
    ])
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

const HANDLED: [&str; 4] = ["orders", "notifications", "images", "hostile"];

/// Waits until nothing that a handler serves is left to be done.
fn settle(host: &Host) -> Result<Vec<Queue>> {
    let began = Instant::now();
    loop {
        let queues = host.queues()?;
        let handled = || {
            queues
                .iter()
                .filter(|queue| HANDLED.contains(&queue.name.as_str()))
        };
        let settled = handled().all(Queue::is_settled);
        progress(handled(), settled);
        if settled {
            return Ok(queues);
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "not settled in time:\n{}",
            host.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn progress<'q>(queues: impl Iterator<Item = &'q Queue>, last: bool) {
    if !stderr().is_terminal() {
        return;
    }
    let states: Vec<String> = queues
        .map(|queue| {
            let Queue {
                name, acked, dead, ..
            } = queue;
            let left = queue.ready + queue.scheduled + queue.in_flight;
            format!("{name} {acked} done, {dead} dead, {left} left")
        })
        .collect();
    eprint!("\r\x1b[K    {}", states.join(" | "));
    if last {
        eprintln!();
    }
    // Progress that does not show is no reason to stop.
    let _ = stderr().flush();
}

fn show(host: &Host, queues: &[Queue]) -> Result<()> {
    println!("\nWhat happened in each queue\n");
    println!(
        "{:<14} {:>6} {:>6} {:>8} {:>6} {:>8}",
        "queue", "sent", "acked", "failures", "dead", "waiting"
    );
    for queue in queues {
        println!(
            "{:<14} {:>6} {:>6} {:>8} {:>6} {:>8}",
            queue.name,
            queue.sent,
            queue.acked,
            queue.failed,
            queue.dead,
            waiting(queue)
        );
    }
    for queue in ["orders", "images", "hostile"] {
        println!("\nWhat the dead letters of {queue} died of\n");
        print!("{}", host.done(&["dead", "list", queue])?);
    }
    let letters = host.dead("hostile")?;
    let trap = letters.iter().find(|letter| letter["reason"] == "trap");
    let id = trap.and_then(|letter| letter["id"].as_str());
    let id = id.context("no dead letter of a trap in hostile")?;
    println!("\nOne of them in full: gristmill dead show hostile {id}\n");
    print!("{}", host.done(&["dead", "show", "hostile", id])?);
    Ok(())
}

fn waiting(queue: &Queue) -> u64 {
    queue.ready + queue.scheduled + queue.in_flight
}

/// Adds up: whatever was sent, by us or by a handler, is acknowledged, dead or waiting.
fn account(sent: &Sent, queues: &[Queue]) -> Result<()> {
    let queue = |name: &str| queues.iter().find(|queue| queue.name == name);
    let acked = |name: &str| queue(name).map_or(0, |queue| queue.acked);
    let mut expected = sent.clone();
    expected.extend([
        ("invoices", acked("orders")),
        ("notifications", acked("orders")),
        ("thumbnails", acked("images")),
        ("out", acked("hostile")),
    ]);
    let (mut total, mut missing) = ([0u64; 4], 0);
    for (name, sent) in expected {
        let queue = queue(name).with_context(|| format!("there is no queue {name}"))?;
        let parts = [queue.acked, queue.dead, waiting(queue)];
        missing += sent.abs_diff(parts.iter().sum()) + sent.abs_diff(queue.sent);
        for (total, part) in total.iter_mut().zip([sent, parts[0], parts[1], parts[2]]) {
            *total += part;
        }
    }
    let [sent, acked, dead, waiting] = total;
    println!(
        "\n{sent} messages sent, by us and by handlers = {acked} acknowledged + {dead} dead + {waiting} waiting for a consumer"
    );
    println!("{missing} unaccounted");
    ensure!(missing == 0, "{missing} messages are not accounted for");
    Ok(())
}

fn advise(host: &mut Host, stay: bool) -> Result<()> {
    if !stay {
        let code = host.stop()?;
        ensure!(
            code == Some(0),
            "the host ends with {code:?}:\n{}",
            host.log()
        );
        println!(
            "\nThe host has stopped; its folder is {}",
            host.folder().display()
        );
        println!(
            "`cargo demo -- --stay` keeps it running, so that you can change a handler under it."
        );
        return Ok(());
    }
    let binary = short(gristmill()?);
    let config = host.folder().join("gristmill.toml");
    let run = format!("{binary} --config {}", short(&config));
    println!(
        "\nThe host goes on; Ctrl-C ends it. In another terminal, in the repository:\n\n\
         what waits, every second:\n  {run} queues --watch\n\n\
         change a handler while the host runs: edit handlers/orders/src/lib.rs, then\n  \
         {build}\n  cp {module} {handlers}/\n  {run} handlers\n\n\
         take back what died, once a handler can do better:\n  \
         {run} dead redrive orders --reason retry\n\n\
         what the host says:\n  tail -f {log}",
        build = guests()?.command("orders"),
        module = short(&guests()?.path("orders")),
        handlers = short(&host.folder().join("handlers")),
        log = short(&host.folder().join("gristmill.log")),
    );
    while host.is_running() {
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// A path as it is typed in the repository.
fn short(path: &Path) -> Display<'_> {
    path.strip_prefix(workspace()).unwrap_or(path).display()
}
