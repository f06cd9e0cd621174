//! The handler that does what its message says, and what its configuration has to grant.

use gristmill_tests::Host;

/// Queue `work` with the handler `misbehave`, which may send to `out`.
pub fn config(queue: &str, handler: &str) -> String {
    format!(
        "[host]\nshutdown_timeout = \"5s\"\nscan_interval = \"1s\"\n\n\
         [defaults.queue]\nbackoff = {{ base = \"10ms\", factor = 1 }}\n\n\
         [queue.work]\nhandler = \"misbehave.wasm\"\n{queue}\n\n[queue.out]\n\n\
         [handler.misbehave]\nsend_to = [\"out\"]\nreply = true\nstate = true\n\
         secrets = {{ none = {{ file = \"gristmill.toml\" }} }}\n{handler}\n"
    )
}

/// A host that serves this configuration with these modules.
pub fn host(config: &str, modules: &[&str]) -> Host {
    let mut host = Host::new(config, modules).unwrap();
    host.start().unwrap();
    host.wait_until("all handlers serve", |host| {
        let handlers = host.socket().get("/v1/handlers")?.json();
        let handlers = handlers["items"].as_array().cloned().unwrap_or_default();
        Ok(handlers.len() >= modules.len()
            && handlers
                .iter()
                .all(|handler| handler["status"] == "serving"))
    })
    .unwrap();
    host
}

/// A host whose `work` has handled its first message and that has a queue for each of these modules,
/// none of which is there yet; compilers have so much time.
pub fn host_beside<'a>(modules: impl Iterator<Item = &'a str>, compile_cpu: &str) -> Host {
    let queues: String = modules
        .map(|name| format!("[queue.{name}]\nhandler = \"{name}.wasm\"\n"))
        .collect();
    let plain = config("", "");
    let with_queues = format!("{plain}[host.sandbox]\ncompile_cpu = \"{compile_cpu}\"\n{queues}");
    // Its own module is compiled under no such limits, or was by another test.
    drop(host(&plain, &["misbehave"]));
    let mut host = Host::new(&with_queues, &["misbehave"]).unwrap();
    host.start().unwrap();
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    host
}

/// A module that behaves like this one and has another hash: a custom section says which it is.
pub fn variant(module: &[u8], name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    assert!(length < 100, "lengths are written in one byte");
    let mut varied = module.to_vec();
    varied.extend([0, length + 1, length]);
    varied.extend(name.as_bytes());
    varied
}
