//! The fake delivery behaves as the host's transaction does: whatever a handler does, both answer
//! the same, and leave the same behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gristmill_queue::effects::{
    Destinations, EffectLimits, Savepoint, SendError, StateError, StateReader, StateUnavailable,
    StateValue, Transaction, Write, counter_value,
};
use gristmill_queue::{IdSource, NewMessage, QueueName, Timestamp};
use gristmill_sdk::testing::Delivery;
use gristmill_sdk::{Message, Outgoing, state, transaction};
use proptest::prelude::*;

/// What the store of the host holds when the delivery begins.
#[derive(Clone, Debug)]
enum Stored {
    Plain(Vec<u8>),
    Counter(i64),
}

struct Store(BTreeMap<String, Stored>);

impl StateReader for Store {
    fn get(&self, key: &str) -> Result<Option<StateValue>, StateUnavailable> {
        Ok(self.0.get(key).map(|stored| match stored {
            Stored::Plain(value) => value_of(value.clone(), false),
            Stored::Counter(count) => value_of(count.to_le_bytes().to_vec(), true),
        }))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateUnavailable> {
        let keys = self.0.keys().filter(|key| key.starts_with(prefix));
        let keys = keys.filter(|key| after.is_none_or(|after| key.as_str() > after));
        Ok(keys.take(limit).cloned().collect())
    }
}

fn value_of(value: Vec<u8>, counter: bool) -> StateValue {
    StateValue {
        version: 1,
        counter,
        value: value.into(),
    }
}

/// One call of a handler.
#[derive(Clone, Debug)]
enum Call {
    Get(String),
    Set(String, Vec<u8>),
    Remove(String),
    Add(String, i64),
    List(String, Option<String>, u32),
    Send(&'static str, Box<Outgoing>),
    Mark,
    /// To one of the marks that are still good, counted from the last.
    Rollback(usize),
}

/// What a call answers, as far as both sides can say it.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    Value(Option<Vec<u8>>),
    Keys(Vec<String>),
    Refused(&'static str),
}

fn host_state<T>(result: Result<T, StateError>, answer: impl FnOnce(T) -> Answer) -> Answer {
    match result {
        Ok(value) => answer(value),
        Err(StateError::InvalidKey) => Answer::Refused("key"),
        Err(StateError::TooLarge(_)) => Answer::Refused("large"),
        Err(StateError::QuotaExceeded) => Answer::Refused("quota"),
        Err(StateError::NotACounter) => Answer::Refused("counter"),
        Err(StateError::Unavailable(_)) => Answer::Refused("unavailable"),
    }
}

fn fake_state<T>(result: Result<T, state::Error>, answer: impl FnOnce(T) -> Answer) -> Answer {
    match result {
        Ok(value) => answer(value),
        Err(state::Error::InvalidKey { .. }) => Answer::Refused("key"),
        Err(state::Error::TooLarge { .. }) => Answer::Refused("large"),
        Err(state::Error::QuotaExceeded) => Answer::Refused("quota"),
        Err(state::Error::NotACounter { .. }) => Answer::Refused("counter"),
        Err(_) => Answer::Refused("other"),
    }
}

fn on_host(transaction: &mut Transaction, marks: &mut Vec<Savepoint>, call: &Call) -> Answer {
    let nothing = |()| Answer::Nothing;
    match call {
        Call::Get(key) => host_state(transaction.get(key), |value| {
            Answer::Value(value.map(Vec::from))
        }),
        Call::Set(key, value) => {
            host_state(transaction.set(key, Bytes::from(value.clone())), nothing)
        }
        Call::Remove(key) => host_state(transaction.remove(key), nothing),
        Call::Add(key, delta) => host_state(transaction.add(key, *delta), nothing),
        Call::List(prefix, after, limit) => host_state(
            transaction.list(prefix, after.as_deref(), *limit),
            Answer::Keys,
        ),
        Call::Send(to, outgoing) => {
            let mut message = NewMessage::with_body(outgoing.body.clone());
            message.envelope.group = outgoing.group.clone();
            message.envelope.attributes = outgoing.attributes.clone();
            match transaction.send(to, message) {
                Ok(_) => Answer::Nothing,
                Err(SendError::NotPermitted) => Answer::Refused("permission"),
                Err(SendError::TooLarge(_)) => Answer::Refused("large"),
                Err(SendError::TooMany) => Answer::Refused("many"),
                Err(SendError::Invalid(_)) => Answer::Refused("invalid"),
            }
        }
        Call::Mark => {
            marks.push(transaction.mark());
            Answer::Nothing
        }
        Call::Rollback(back) => {
            let Some(index) = marks.len().checked_sub(back + 1) else {
                return Answer::Nothing;
            };
            assert!(transaction.rollback_to(marks[index]));
            marks.truncate(index + 1);
            Answer::Nothing
        }
    }
}

fn on_fake(marks: &mut Vec<transaction::Mark>, call: &Call) -> Answer {
    let nothing = |()| Answer::Nothing;
    match call {
        Call::Get(key) => fake_state(state::get(key), Answer::Value),
        Call::Set(key, value) => fake_state(state::set(key, value), nothing),
        Call::Remove(key) => fake_state(state::remove(key), nothing),
        Call::Add(key, delta) => fake_state(state::add(key, *delta), nothing),
        Call::List(prefix, after, limit) => {
            fake_state(state::page(prefix, after.as_deref(), *limit), Answer::Keys)
        }
        Call::Send(to, outgoing) => match Outgoing::clone(outgoing).send_to(to) {
            Ok(_) => Answer::Nothing,
            Err(gristmill_sdk::SendError::NotPermitted { .. }) => Answer::Refused("permission"),
            Err(gristmill_sdk::SendError::TooLarge { .. }) => Answer::Refused("large"),
            Err(gristmill_sdk::SendError::TooMany) => Answer::Refused("many"),
            Err(_) => Answer::Refused("invalid"),
        },
        Call::Mark => {
            marks.push(transaction::mark());
            Answer::Nothing
        }
        Call::Rollback(back) => {
            let Some(index) = marks.len().checked_sub(back + 1) else {
                return Answer::Nothing;
            };
            transaction::rollback(marks[index]);
            marks.truncate(index + 1);
            Answer::Nothing
        }
    }
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => "[ab]{1,3}",
        1 => Just(String::new()),
        1 => Just("k".repeat(512)),
        1 => Just("k".repeat(513)),
    ]
}

fn outgoing() -> impl Strategy<Value = Outgoing> {
    prop_oneof![
        10 => "[a-z]{0,4}".prop_map(Outgoing::text),
        1 => Just(Outgoing::bytes(vec![0; 11])),
        1 => Just(Outgoing::text("").group("")),
        1 => Just(Outgoing::text("").attribute("gristmill-own", "x")),
    ]
}

fn calls() -> impl Strategy<Value = Call> {
    let value = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..10),
        1 => Just(vec![0; 256 * 1024 + 1]),
    ];
    prop_oneof![
        keys().prop_map(Call::Get),
        (keys(), value).prop_map(|(key, value)| Call::Set(key, value)),
        keys().prop_map(Call::Remove),
        (keys(), any::<i64>()).prop_map(|(key, delta)| Call::Add(key, delta)),
        ("[ab]{0,2}", proptest::option::of(keys()), 0u32..5)
            .prop_map(|(prefix, after, limit)| Call::List(prefix, after, limit)),
        (
            prop_oneof![4 => Just("out"), 1 => Just("elsewhere")],
            outgoing()
        )
            .prop_map(|(to, outgoing)| Call::Send(to, Box::new(outgoing))),
        Just(Call::Mark),
        (0usize..3).prop_map(Call::Rollback),
    ]
}

fn stored() -> impl Strategy<Value = BTreeMap<String, Stored>> {
    let stored = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..10).prop_map(Stored::Plain),
        any::<i64>().prop_map(Stored::Counter),
    ];
    proptest::collection::btree_map("[ab]{1,3}", stored, 0..8)
}

/// What the store holds after the effects of the transaction.
fn applied(
    stored: &BTreeMap<String, Stored>,
    writes: Vec<(String, Write)>,
) -> BTreeMap<String, Vec<u8>> {
    let mut after: BTreeMap<String, Vec<u8>> = stored
        .iter()
        .map(|(key, stored)| match stored {
            Stored::Plain(value) => (key.clone(), value.clone()),
            Stored::Counter(count) => (key.clone(), count.to_le_bytes().to_vec()),
        })
        .collect();
    for (key, write) in writes {
        match write {
            Write::Set { value, .. } => drop(after.insert(key, value.to_vec())),
            Write::Remove => drop(after.remove(&key)),
            Write::Add(delta) => {
                let before = after.get(&key).map_or(0, |bytes| counter_value(bytes));
                after.insert(key, before.wrapping_add(delta).to_le_bytes().to_vec());
            }
        }
    }
    after
}

proptest! {
    #[test]
    fn both_answer_the_same_and_leave_the_same(
        stored in stored(),
        calls in proptest::collection::vec(calls(), 0..40),
    ) {
        let out = QueueName::new("out").unwrap();
        let mut host = Transaction::new(
            Arc::new(Store(stored.clone())),
            Arc::new(IdSource::new(1, 2)),
            Arc::new(Destinations::from([(out, 10)])),
            EffectLimits::default(),
            Timestamp::from_unix_ms(1000),
        );
        let mut fake = Delivery::new();
        fake.allow_up_to("out", 10);
        for (key, value) in &stored {
            match value {
                Stored::Plain(value) => fake.set_state(key, value.clone()),
                Stored::Counter(count) => fake.set_counter(key, *count),
            };
        }

        let mut on_both = Vec::new();
        let mut host_marks = Vec::new();
        let run = fake.run(|_| {
            let mut fake_marks = Vec::new();
            for call in &calls {
                let theirs = on_host(&mut host, &mut host_marks, call);
                on_both.push((call, theirs, on_fake(&mut fake_marks, call)));
            }
        }, Message::with_text(""));
        prop_assert_eq!(run, Ok(()));
        for (call, theirs, ours) in on_both {
            prop_assert_eq!(theirs, ours, "{:?}", call);
        }

        let effects = host.finish();
        let theirs: Vec<_> = effects.sends.iter().map(|send| send.message.body.to_vec()).collect();
        let ours: Vec<_> = fake.sent().iter().map(|sent| sent.message.body.clone()).collect();
        prop_assert_eq!(theirs, ours);
        let ours: BTreeMap<String, Vec<u8>> = fake
            .keys()
            .map(|key| (key.to_owned(), fake.state(key).unwrap().to_vec()))
            .collect();
        prop_assert_eq!(applied(&stored, effects.writes), ours);
    }
}

proptest! {
    /// A batch is one transaction on both sides; what a message did that fails is undone.
    #[test]
    fn a_batch_is_one_transaction_on_both_sides(
        stored in stored(),
        batch in proptest::collection::vec(
            (proptest::collection::vec(calls(), 0..10), any::<bool>()),
            1..6,
        ),
    ) {
        let out = QueueName::new("out").unwrap();
        let mut host = Transaction::new(
            Arc::new(Store(stored.clone())),
            Arc::new(IdSource::new(1, 2)),
            Arc::new(Destinations::from([(out, 10)])),
            EffectLimits::default().of_batch(batch.len()),
            Timestamp::from_unix_ms(1000),
        );
        let mut fake = Delivery::new();
        fake.allow_up_to("out", 10);
        for (key, value) in &stored {
            match value {
                Stored::Plain(value) => fake.set_state(key, value.clone()),
                Stored::Counter(count) => fake.set_counter(key, *count),
            };
        }
        let one = |message: Message| {
            let (calls, succeeds) = &batch[usize::from(message.body[0])];
            let mut marks = Vec::new();
            for call in calls {
                on_fake(&mut marks, call);
            }
            if *succeeds { Ok(()) } else { Err(gristmill_sdk::Failure::retry("")) }
        };
        let bodies = 0..u8::try_from(batch.len()).unwrap();
        let verdicts = fake.run_batch(
            |messages| gristmill_sdk::batch::each(one, messages),
            bodies.map(|n| Message::with_body([n])),
        );
        for (calls, succeeds) in &batch {
            let before = host.mark();
            let mut marks = Vec::new();
            for call in calls {
                on_host(&mut host, &mut marks, call);
            }
            if !succeeds {
                prop_assert!(host.rollback_to(before));
            }
        }
        let done: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        let expected: Vec<bool> = batch.iter().map(|(_, succeeds)| *succeeds).collect();
        prop_assert_eq!(done, expected);
        let effects = host.finish();
        let theirs: Vec<_> = effects.sends.iter().map(|send| send.message.body.to_vec()).collect();
        let ours: Vec<_> = fake.sent().iter().map(|sent| sent.message.body.clone()).collect();
        prop_assert_eq!(theirs, ours);
        let ours: BTreeMap<String, Vec<u8>> = fake
            .keys()
            .map(|key| (key.to_owned(), fake.state(key).unwrap().to_vec()))
            .collect();
        prop_assert_eq!(applied(&stored, effects.writes), ours);
    }
}
