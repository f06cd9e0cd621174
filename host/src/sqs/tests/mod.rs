//! The endpoint over a store, without sockets: requests in, replies out.

mod access;
mod actions;
mod attributes;
mod errors;
mod hostile;
mod wire;

use gristmill_queue::{QueueName, QueuePolicy};
use gristmill_store::{Declaration, Options, Store};
use serde_json::{Value, json};

use super::wire::{Incoming, JSON};
use super::{Reply, Sqs};
use crate::auth::Identity;
use crate::config::{SqsAuth, SqsConfig, SqsLimits};
use crate::queues::{Queues, read_made};

struct Stage {
    _folder: tempfile::TempDir,
    queues: Queues,
    sqs: Sqs,
}

impl Stage {
    async fn new(limits: SqsLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            read_made: Some(read_made()),
            ..Options::default()
        };
        let (store, _) = Store::open(folder.path(), options).unwrap();
        let queues = Queues::new(store);
        let file = Declaration {
            name: QueueName::new("file").unwrap(),
            policy: QueuePolicy::default(),
        };
        queues.declare(vec![file], Vec::new()).await.unwrap();
        let config = SqsConfig {
            listen: "127.0.0.1:9324".parse().unwrap(),
            public_url: None,
            account: "000000000000".into(),
            region: "us-east-1".into(),
            limits,
            auth: SqsAuth::None,
            tls: None,
        };
        let sqs = Sqs::new(queues.clone(), config);
        Stage {
            _folder: folder,
            queues,
            sqs,
        }
    }

    /// Asks in JSON.
    async fn ask(&self, action: &str, members: Value) -> Reply {
        self.put(&in_json(action, &members)).await
    }

    /// Asks as somebody who may do everything.
    async fn put(&self, incoming: &Incoming) -> Reply {
        let caller = Identity::everything("a test");
        self.sqs.answer(incoming, &caller).await
    }

    /// Asks in JSON as somebody.
    async fn ask_as(&self, caller: &Identity, action: &str, members: Value) -> Reply {
        self.sqs.answer(&in_json(action, &members), caller).await
    }

    /// Asks in JSON for what has to work.
    async fn get(&self, action: &str, members: Value) -> Value {
        let reply = self.ask(action, members).await;
        assert_eq!(reply.status, 200, "{action}: {reply:?}");
        if reply.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&reply.body).unwrap()
    }

    /// Asks in JSON for what is refused. Returns the shape, the code and the words.
    async fn refused(&self, action: &str, members: Value) -> (String, String, String) {
        let reply = self.ask(action, members).await;
        assert_ne!(reply.status, 200, "{action}: {reply:?}");
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (text("__type"), reply.query_error.unwrap(), text("message"))
    }

    async fn create(&self, name: &str, attributes: Value) -> String {
        let members = json!({ "QueueName": name, "Attributes": attributes });
        let made = self.get("CreateQueue", members).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    async fn end(self) {
        self.queues.close().await;
    }
}

fn in_json(action: &str, members: &Value) -> Incoming {
    Incoming {
        path: "/".into(),
        content_type: Some(JSON.into()),
        target: Some(format!("AmazonSQS.{action}")),
        host: Some("localhost:9324".into()),
        body: members.to_string().into(),
        ..Incoming::default()
    }
}

fn in_form(path: &str, form: &str) -> Incoming {
    Incoming {
        path: path.into(),
        content_type: Some("application/x-www-form-urlencoded; charset=utf-8".into()),
        host: Some("localhost:9324".into()),
        body: form.to_owned().into(),
        ..Incoming::default()
    }
}
