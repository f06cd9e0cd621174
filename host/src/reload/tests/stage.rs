//! A host in a folder of its own: real files, a real store, real guests.

use std::path::PathBuf;
use std::time::Duration;

use gristmill_queue::board::QueueView;
use gristmill_queue::{NewMessage, QueueName};
use gristmill_store::{Options, Outgoing, Store};

use crate::api::{HandlerStatus, HandlerView};
use crate::config;
use crate::dispatch::Dispatcher;
use crate::queues::Queues;
use crate::reload::{Handlers, Reloader};
use crate::runtime::tests::guests::{Import, component};
use crate::runtime::{CompileMode, Runtime, RuntimeOptions};

/// A test that waits for longer than this has failed.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub queues: Queues,
    pub handlers: Handlers,
}

impl Stage {
    /// A host that was given this configuration, and does not watch.
    pub async fn new(text: &str) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("handlers")).unwrap();
        let (store, _) = Store::open(&folder.path().join("store"), Options::default()).unwrap();
        let queues = Queues::new(store);
        let mut options =
            RuntimeOptions::new(folder.path().join("compiled"), CompileMode::InProcess);
        options.max_instances = 32;
        let runtime = Runtime::new(options).unwrap();
        let guests = tokio::runtime::Handle::current();
        let dispatcher = Dispatcher::new(queues.clone(), guests);
        let handlers = Handlers::new(queues.clone(), dispatcher, runtime);
        let stage = Stage {
            folder,
            queues,
            handlers,
        };
        stage.configure(text);
        stage.handlers.apply(&stage.config()).await.unwrap();
        stage
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn configure(&self, text: &str) {
        self.place(text.as_bytes(), "gristmill.toml");
    }

    /// Renames a file that looks old into place: nothing is found because a young file is read twice.
    fn place(&self, content: &[u8], name: &str) {
        let unfinished = self.path("handlers/unfinished.tmp");
        std::fs::write(&unfinished, content).unwrap();
        let file = std::fs::File::options().write(true).open(&unfinished);
        let hour = Duration::from_secs(3600);
        let old = std::time::SystemTime::now() - hour;
        file.unwrap().set_modified(old).unwrap();
        std::fs::rename(unfinished, self.path(name)).unwrap();
    }

    pub fn config(&self) -> config::Config {
        config::load(&self.path("gristmill.toml")).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Puts a module into the folder, as one should.
    pub fn put(&self, handler: &str, module: &[u8]) {
        self.place(module, &format!("handlers/{handler}.wasm"));
    }

    pub async fn watch(&self) -> Reloader {
        Reloader::start(self.handlers.clone(), self.config())
            .await
            .unwrap()
    }

    pub fn view(&self, handler: &str) -> HandlerView {
        let all = self.handlers.list();
        all.into_iter().find(|view| view.name == handler).unwrap()
    }

    /// Waits until a handler is as it should be.
    pub async fn until(&self, handler: &str, is: impl Fn(&HandlerView) -> bool) -> HandlerView {
        let mut changes = self.handlers.changes();
        let wait = async {
            loop {
                changes.borrow_and_update();
                let view = self.view(handler);
                if is(&view) {
                    return view;
                }
                changes.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(DEADLINE, wait).await;
        found.unwrap_or_else(|_| panic!("still {:?}", self.view(handler)))
    }

    pub async fn until_status(&self, handler: &str, status: HandlerStatus) -> HandlerView {
        self.until(handler, |view| view.status == status).await
    }

    pub async fn until_hash(&self, handler: &str, hash: &str) -> HandlerView {
        self.until(handler, |view| {
            view.version.as_ref().is_some_and(|v| v.hash == hash)
        })
        .await
    }

    pub async fn send(&self, queue: &str, count: usize) {
        let queue = QueueName::new(queue).unwrap();
        let message = || Outgoing {
            queue: queue.clone(),
            message: NewMessage::with_body("{}"),
        };
        self.queues
            .send_all((0..count).map(|_| message()).collect())
            .await
            .unwrap();
    }

    pub async fn queue(&self, name: &str) -> QueueView {
        let all = self.queues.list().await.unwrap();
        all.into_iter()
            .find(|view| view.name.as_str() == name)
            .unwrap()
    }

    /// Waits until a queue is as it should be. Every question waits for the store's writer, so this
    /// is no busy loop.
    pub async fn until_queue(&self, name: &str, is: impl Fn(&QueueView) -> bool) -> QueueView {
        let wait = async {
            loop {
                let view = self.queue(name).await;
                if is(&view) {
                    return view;
                }
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, wait).await;
        match found {
            Ok(view) => view,
            Err(_) => panic!("still {:?}", self.queue(name).await),
        }
    }
}

/// A module that says `ok`. Its version makes it differ from others.
pub fn ok(version: &str) -> Vec<u8> {
    with(&[], version)
}

pub fn with(imports: &[Import], version: &str) -> Vec<u8> {
    let body = format!(
        r#"(data (i32.const 4096) "{version}")
        (func $handle (param i32) (result i32) i32.const 1024)"#
    );
    component(imports, &body)
}

pub fn hash(module: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    crate::reload::hex(&Sha256::digest(module).into())
}
