//! The API: a message sent over a connection of the network, with a token.
//!
//! Server and client share one thread, so what is counted has both, from the bytes of the request to those
//! of the answer: hyper, the router, the guard, the headers, the JSON. The writer has a thread of its own,
//! which is not counted.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gristmill::api::Api;
use gristmill::auth::{Access, Action, Grant, Queues as OfQueues, Scopes};
use gristmill::config::{ApiAuth, ApiConfig};
use gristmill::http::{Gate, serve_at};
use gristmill::net::limits::Pace;
use gristmill::net::{Budget, Listening, listen};
use gristmill::queues::Queues;
use gristmill_queue::{QueueName, QueuePolicy};
use gristmill_store::{Clock, Declaration, Options, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BODY: [u8; 256] = [b'x'; 256];

/// So many messages, one after the other.
pub fn send(messages: u32) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = Options {
        // The system's would be read in a way that valgrind does not know.
        clock: Clock::Manual(Arc::new(AtomicU64::new(1_700_000_000_000))),
        queues: vec![Declaration {
            name: QueueName::new("orders").unwrap(),
            policy: QueuePolicy::default(),
        }],
        ..Options::default()
    };
    let (store, _) = Store::open(folder.path(), options).unwrap();
    let access = Access::of(folder.path());
    let issued = access.issue(&Grant {
        name: "counted".to_owned(),
        scopes: Scopes::of(&[Action::Send]),
        queues: OfQueues::all(),
        lasts: None,
    });
    let request = request(&issued.unwrap().token);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let api = Api::new(Queues::new(store.clone()), Arc::new(Vec::new));
        let listening = Listening::Network {
            listener,
            tls: None,
            most: 10,
            pace: Pace::default(),
        };
        let gate = Gate::of_network(&config(), access, Budget::default());
        let server = tokio::spawn(serve_at(listening, api, gate, pending()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.set_nodelay(true).unwrap();
        for _ in 0..messages {
            client.write_all(&request).await.unwrap();
            let mut answer = [0; 1024];
            let mut length = 0;
            while !answer[..length].ends_with(b"}") {
                let read = client.read(&mut answer[length..]).await.unwrap();
                assert!(read > 0, "the server hung up");
                length += read;
            }
            assert!(answer.starts_with(b"HTTP/1.1 201 "));
        }
        server.abort();
        store.close().await;
    });
}

fn request(token: &str) -> Vec<u8> {
    let head = format!(
        "POST /v1/queues/orders/messages HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        BODY.len()
    );
    [head.as_bytes(), &BODY].concat()
}

fn config() -> ApiConfig {
    ApiConfig {
        listen: None,
        auth: ApiAuth::Token,
        tls: None,
        max_connections: 10,
        rate: None,
        rate_per_client: None,
    }
}
