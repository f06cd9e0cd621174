//! Operations at random against a copy of the state, alone and with neighbours.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Get(String),
    Set(String, Bytes),
    Remove(String),
    Add(String, i64),
    List(String, Option<String>, u32),
    Send(u8),
    Mark,
    Rollback(u32),
}

fn keys() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "a1", "a2", "ab", "b", "b1", "c"]).prop_map(str::to_owned)
}

fn ops() -> impl Strategy<Value = Op> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from),
        any::<i64>().prop_map(number),
    ];
    let prefix = prop::sample::select(vec!["", "a", "b", "ab", "z"]).prop_map(str::to_owned);
    let delta = prop_oneof![Just(1i64), any::<i64>()];
    prop_oneof![
        3 => keys().prop_map(Op::Get),
        3 => (keys(), value).prop_map(|(key, value)| Op::Set(key, value)),
        2 => keys().prop_map(Op::Remove),
        4 => (keys(), delta).prop_map(|(key, delta)| Op::Add(key, delta)),
        3 => (prefix, prop::option::of(keys()), 0u32..6).prop_map(|(prefix, after, limit)| Op::List(prefix, after, limit)),
        2 => (0u8..5).prop_map(Op::Send),
        2 => Just(Op::Mark),
        2 => (0u32..6).prop_map(Op::Rollback),
    ]
}

fn states() -> impl Strategy<Value = Vec<(String, Bytes, bool)>> {
    let value = (any::<i64>(), any::<bool>());
    prop::collection::vec((keys(), value), 0..6).prop_map(|values| {
        let stored = |(key, (value, counter))| (key, number(value), counter);
        values.into_iter().map(stored).collect()
    })
}

fn state_of(values: &[(String, Bytes, bool)]) -> Arc<State> {
    let state = Arc::new(State::default());
    values
        .iter()
        .for_each(|(key, value, counter)| state.put(key, value, *counter));
    state
}

const TIGHT: EffectLimits = EffectLimits {
    max_sends: 4,
    max_send_bytes: 10,
    max_state_keys: 1000,
    max_state_bytes: 1000,
};

/// The result of an operation, as the guest sees it; ids are not part of it.
fn run(t: &mut Transaction, op: &Op) -> String {
    match op {
        Op::Get(key) => format!("{:?}", t.get(key)),
        Op::Set(key, value) => format!("{:?}", t.set(key, value.clone())),
        Op::Remove(key) => format!("{:?}", t.remove(key)),
        Op::Add(key, delta) => format!("{:?}", t.add(key, *delta)),
        Op::List(prefix, after, limit) => format!("{:?}", t.list(prefix, after.as_deref(), *limit)),
        Op::Send(size) => format!(
            "{:?}",
            t.send("out", NewMessage::with_body(vec![0; usize::from(*size)]))
                .map(drop)
        ),
        Op::Mark => format!("{:?}", t.mark()),
        Op::Rollback(to) => format!("{:?}", t.rollback_to(*to)),
    }
}

/// The same by simple means: the whole state is copied at every mark and changed at once.
#[derive(Clone, Default)]
struct Plain {
    state: BTreeMap<String, (Bytes, bool)>,
    sends: Vec<u8>,
    marks: Vec<Plain>,
}

impl Plain {
    fn run(&mut self, op: &Op) -> String {
        match op {
            Op::Get(key) => format!(
                "{:?}",
                Ok::<_, StateError>(self.state.get(key).map(|(value, _)| value))
            ),
            Op::Set(key, value) => {
                self.state.insert(key.clone(), (value.clone(), false));
                "Ok(())".into()
            }
            Op::Remove(key) => {
                self.state.remove(key);
                "Ok(())".into()
            }
            Op::Add(key, delta) => {
                let (value, counter) = self.state.get(key).cloned().unwrap_or((number(0), true));
                if !counter {
                    return "Err(NotACounter)".into();
                }
                let sum = counter_value(&value).wrapping_add(*delta);
                self.state.insert(key.clone(), (number(sum), true));
                "Ok(())".into()
            }
            Op::List(prefix, after, limit) => {
                let keys = list(self.state.keys(), prefix, after.as_deref(), *limit as usize);
                format!("{:?}", Ok::<_, StateError>(keys))
            }
            Op::Send(size) => {
                let bytes: u64 = self
                    .sends
                    .iter()
                    .chain([size])
                    .map(|size| u64::from(*size))
                    .sum();
                if self.sends.len() >= TIGHT.max_sends || bytes > TIGHT.max_send_bytes {
                    return "Err(TooMany)".into();
                }
                self.sends.push(*size);
                "Ok(())".into()
            }
            Op::Mark => {
                let copy = Plain {
                    marks: Vec::new(),
                    ..self.clone()
                };
                self.marks.push(copy);
                format!("{:?}", self.marks.len() - 1)
            }
            Op::Rollback(to) => {
                let to = *to as usize;
                let Some(copy) = self.marks.get(to).cloned() else {
                    return "false".into();
                };
                self.marks.truncate(to + 1);
                (self.state, self.sends) = (copy.state, copy.sends);
                "true".into()
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Every result, and what the commit makes of it.
    #[test]
    fn a_transaction_does_what_a_copy_of_the_state_would(values in states(), ops in prop::collection::vec(ops(), 0..40)) {
        let state = state_of(&values);
        let mut plain = Plain { state: state.contents(), ..Plain::default() };
        let mut t = begin(&state, TIGHT);
        for op in &ops {
            prop_assert_eq!(run(&mut t, op), plain.run(op), "{:?}", op);
        }
        let effects = t.finish();
        prop_assert!(state.still_so(&effects.reads), "nobody else has changed anything");
        let sizes: Vec<u8> = effects.sends.iter().map(|send| u8::try_from(send.message.body.len()).unwrap()).collect();
        prop_assert_eq!(sizes, plain.sends);
        let mut ids: Vec<_> = effects.sends.iter().map(|send| send.id).collect();
        ids.dedup();
        prop_assert_eq!(ids.len(), effects.sends.len());
        state.apply(&effects.writes);
        prop_assert_eq!(state.contents(), plain.state);
    }

    /// If the commit finds all reads still so, the delivery might as well have begun after every
    /// change that others made meanwhile: each result would have been the same.
    #[test]
    fn a_delivery_that_commits_behaves_as_if_it_ran_alone(
        values in states(),
        ops in prop::collection::vec((ops(), prop::option::weighted(0.2, ops())), 0..12),
    ) {
        let state = state_of(&values);
        let mut t = begin(&state, TIGHT);
        let mut results = Vec::new();
        for (op, other) in &ops {
            results.push(run(&mut t, op));
            if let Some(other) = other {
                let mut neighbour = begin(&state, TIGHT);
                run(&mut neighbour, other);
                state.apply(&neighbour.finish().writes);
            }
        }
        let effects = t.finish();
        if state.still_so(&effects.reads) {
            let mut alone = begin(&state, TIGHT);
            for ((op, _), result) in ops.iter().zip(results) {
                prop_assert_eq!(run(&mut alone, op), result, "{:?}", op);
            }
            prop_assert_eq!(alone.finish().writes, effects.writes);
        }
    }
}
