//! A handler of the published draft of `wasi:messaging`: what it sends is part of the transaction of
//! the delivery, as everything else that a handler sends.

use gristmill_queue::effects::SendError;
use wasmtime::Store;
use wasmtime::component::Resource;

use super::letter::Letter;
use super::{Handled, descend, reply, words_of};
use crate::runtime::bindings::messaging::exports::wasi::messaging::incoming_handler::Guest;
use crate::runtime::bindings::messaging::wasi::messaging::types::Error;
use crate::runtime::bindings::messaging::wasi::messaging::{producer, request_reply, types};
use crate::runtime::bindings::queue::gristmill::queue::types::Failure;
use crate::runtime::instance::Sandbox;

/// What the limit of what is held calls letters.
const WHAT: &str = "messages";

/// A connection. There is nothing behind it.
pub struct Client;

/// Options of a request, which is not made.
pub struct RequestOptions;

/// Calls the handler with the message in the store.
pub(in crate::runtime) async fn call(
    handler: &Guest,
    store: &mut Store<Sandbox>,
) -> wasmtime::Result<Handled> {
    let sandbox = store.data_mut();
    let letter = Letter::received(sandbox.call()?);
    let message = sandbox.push_letter(letter)?;
    let handled = handler.call_handle(&mut *store, message).await?;
    Ok(handled.map_err(|error| {
        Failure::Retry(match error {
            Error::Timeout => "timeout".to_owned(),
            Error::Connection(text) => format!("connection: {text}"),
            Error::PermissionDenied(text) => format!("permission denied: {text}"),
            Error::Other(text) => text,
        })
    }))
}

impl Sandbox {
    fn push_letter(&mut self, letter: Letter) -> wasmtime::Result<Resource<Letter>> {
        self.hold(0, letter.size(), WHAT)?;
        Ok(self.table.push(letter)?)
    }

    fn take_letter(&mut self, letter: Resource<Letter>) -> wasmtime::Result<Letter> {
        let letter = self.table.delete(letter)?;
        self.hold(letter.size(), 0, WHAT)?;
        Ok(letter)
    }

    /// Changes one, and counts what it holds then.
    fn change_letter(
        &mut self,
        letter: &Resource<Letter>,
        change: impl FnOnce(&mut Letter),
    ) -> wasmtime::Result<()> {
        let letter = self.table.get_mut(letter)?;
        let before = letter.size();
        change(letter);
        let after = letter.size();
        self.hold(before, after, WHAT)
    }

    fn send_error(&self, error: &SendError) -> Error {
        match error {
            SendError::NotPermitted => Error::PermissionDenied(format!(
                "there is no such queue or topic, or it is not granted: add it to `send_to` of [handler.{}]",
                self.shared.handler
            )),
            other => Error::Other(words_of(other)),
        }
    }
}

impl types::Host for Sandbox {}

impl types::HostClient for Sandbox {
    fn connect(&mut self, _name: String) -> wasmtime::Result<Result<Resource<Client>, Error>> {
        Ok(Ok(self.table.push(Client)?))
    }

    fn disconnect(&mut self, _client: Resource<Client>) -> wasmtime::Result<Result<(), Error>> {
        Ok(Ok(()))
    }

    fn drop(&mut self, client: Resource<Client>) -> wasmtime::Result<()> {
        self.table.delete(client)?;
        Ok(())
    }
}

impl types::HostMessage for Sandbox {
    fn new(&mut self, data: Vec<u8>) -> wasmtime::Result<Resource<Letter>> {
        self.push_letter(Letter {
            body: data.into(),
            ..Letter::default()
        })
    }

    fn topic(&mut self, letter: Resource<Letter>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&letter)?.topic.clone())
    }

    fn content_type(&mut self, letter: Resource<Letter>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&letter)?.content_type.clone())
    }

    fn set_content_type(&mut self, letter: Resource<Letter>, kind: String) -> wasmtime::Result<()> {
        self.change_letter(&letter, |letter| letter.content_type = Some(kind))
    }

    fn data(&mut self, letter: Resource<Letter>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&letter)?.body.to_vec())
    }

    fn set_data(&mut self, letter: Resource<Letter>, data: Vec<u8>) -> wasmtime::Result<()> {
        self.change_letter(&letter, |letter| letter.body = data.into())
    }

    fn metadata(
        &mut self,
        letter: Resource<Letter>,
    ) -> wasmtime::Result<Option<Vec<(String, String)>>> {
        let metadata = self.table.get(&letter)?.metadata.clone();
        Ok((!metadata.is_empty()).then_some(metadata))
    }

    fn add_metadata(
        &mut self,
        letter: Resource<Letter>,
        name: String,
        value: String,
    ) -> wasmtime::Result<()> {
        self.change_letter(&letter, |letter| letter.set(name, value))
    }

    fn set_metadata(
        &mut self,
        letter: Resource<Letter>,
        all: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.change_letter(&letter, |letter| letter.set_all(all))
    }

    fn remove_metadata(&mut self, letter: Resource<Letter>, name: String) -> wasmtime::Result<()> {
        self.change_letter(&letter, |letter| {
            letter.metadata.retain(|(known, _)| *known != name)
        })
    }

    fn drop(&mut self, letter: Resource<Letter>) -> wasmtime::Result<()> {
        self.take_letter(letter).map(drop)
    }
}

impl producer::Host for Sandbox {
    fn send(
        &mut self,
        _client: Resource<Client>,
        topic: String,
        letter: Resource<Letter>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let mut message = match self.take_letter(letter)?.into_message() {
            Ok(message) => message,
            Err(problem) => return Ok(Err(Error::Other(problem))),
        };
        descend(self, &mut message)?;
        let sent = self.call()?.transaction.send(&topic, message);
        Ok(sent.map(drop).map_err(|error| self.send_error(&error)))
    }
}

impl request_reply::Host for Sandbox {
    fn request(
        &mut self,
        _client: Resource<Client>,
        _topic: String,
        _letter: Resource<Letter>,
        options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Vec<Resource<Letter>>, Error>> {
        if let Some(options) = options {
            self.table.delete(options)?;
        }
        Ok(Err(Error::Other(
            "no handler waits for an answer here: send the request with metadata gristmill-reply-to, and \
             handle what comes to that queue"
                .to_owned(),
        )))
    }

    fn reply(
        &mut self,
        to: Resource<Letter>,
        letter: Resource<Letter>,
    ) -> wasmtime::Result<Result<(), Error>> {
        // A handler that is reused may have kept one that came before.
        let current = self.call()?.messages.only().map(|message| message.id);
        let received = current.is_some() && self.table.get(&to)?.of == current;
        let mut message = match self.take_letter(letter)?.into_message() {
            Ok(message) => message,
            Err(problem) => return Ok(Err(Error::Other(problem))),
        };
        if !received {
            let text = "only the message that came can be replied to";
            return Ok(Err(Error::Other(text.to_owned())));
        }
        descend(self, &mut message)?;
        let sent = reply(self, message)?;
        Ok(sent.map_err(|error| self.send_error(&error)))
    }
}

impl request_reply::HostRequestOptions for Sandbox {
    fn new(&mut self) -> wasmtime::Result<Resource<RequestOptions>> {
        Ok(self.table.push(RequestOptions)?)
    }

    fn set_timeout_ms(
        &mut self,
        _options: Resource<RequestOptions>,
        _ms: u32,
    ) -> wasmtime::Result<()> {
        Ok(())
    }

    fn set_expected_replies(
        &mut self,
        _options: Resource<RequestOptions>,
        _replies: u32,
    ) -> wasmtime::Result<()> {
        Ok(())
    }

    fn drop(&mut self, options: Resource<RequestOptions>) -> wasmtime::Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}
