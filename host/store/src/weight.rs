//! How much memory an operation keeps while it waits for the writer, roughly.

use gristmill_queue::effects::Write;
use gristmill_queue::{Effects, Fence, NewMessage};

use crate::ops::{Firing, Op};
use crate::pull::Pulled;

/// What a message costs to keep beside its body and attributes, roughly.
const MESSAGE_OVERHEAD: usize = 256;

fn weight(message: &NewMessage) -> usize {
    let attributes = message.envelope.attributes.iter();
    let attributes: usize = attributes
        .map(|(name, value)| name.len() + value.len())
        .sum();
    message.body.len() + attributes + MESSAGE_OVERHEAD
}

fn effects_bytes(effects: &Effects) -> usize {
    let sends = effects.sends.iter();
    let sends: usize = sends.map(|send| weight(&send.message)).sum();
    let writes = effects.writes.iter().map(|(key, write)| match write {
        Write::Set { value, .. } => key.len() + value.len(),
        Write::Remove | Write::Add(_) => key.len(),
    });
    sends + writes.sum::<usize>()
}

fn said_bytes((_, pulled): &(Fence, Pulled)) -> usize {
    match pulled {
        Pulled::Retry { error, .. } | Pulled::Reject { error } => error.len(),
        Pulled::Ack | Pulled::Release | Pulled::Extend { .. } => 0,
    }
}

impl Firing {
    fn bytes(&self) -> usize {
        match self {
            Firing::ByHand(message)
            | Firing::Tick {
                message: Some(message),
                ..
            } => weight(&message.outgoing.message),
            Firing::Tick { message: None, .. } => 0,
        }
    }
}

impl Op {
    /// Roughly how many bytes the operation keeps while it waits.
    pub fn bytes(&self) -> usize {
        match self {
            Op::Send { batch, .. } => batch.iter().map(|sent| weight(&sent.message)).sum(),
            Op::RedriveEdited(edited) => weight(&edited.message),
            Op::Request { outgoing, .. } => weight(&outgoing.message),
            Op::Fire { firings, .. } => firings.iter().map(Firing::bytes).sum(),
            Op::SettlePulled { verdicts, .. } => verdicts.iter().map(said_bytes).sum(),
            Op::Settle(settle, _) => effects_bytes(&settle.effects),
            Op::SettleBatch(settle, _) => effects_bytes(&settle.effects),
            _ => 0,
        }
    }
}
