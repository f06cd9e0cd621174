//! What fits into a queue, and what is dropped so that more does.

use gristmill_queue::policy::OnFull;

use super::accept::{Copy, Fate};
use super::parcel::Parcel;
use super::reference::{Message, Reference};

impl Reference {
    /// Whether so many messages of so many bytes fit, once what has to be dropped is dropped.
    pub fn has_room(&self, to: &str, more: (u64, u64)) -> bool {
        // What holds nothing more is not refused for being too full already.
        let stays = |m: &&Message| m.in_flight || self.queues[to].policy.on_full == OnFull::Reject;
        more == (0, 0) || self.fits_beside(to, more, self.of_queue(to).filter(stays))
    }

    fn fits_beside<'m>(
        &self,
        to: &str,
        (messages, bytes): (u64, u64),
        held: impl Iterator<Item = &'m Message>,
    ) -> bool {
        let policy = &self.queues[to].policy;
        let sizes: Vec<u64> = held.map(|m| m.body.len() as u64).collect();
        let size: u64 = sizes.iter().sum();
        let under = |limit: Option<u64>, all: u64| limit.is_none_or(|most| all <= most);
        under(policy.max_messages, sizes.len() as u64 + messages)
            && under(policy.max_bytes, size + bytes)
    }

    /// Drops the oldest that wait, before anything of a batch is accepted, until all of it fits.
    pub fn make_room(&mut self, batch: &[&Parcel], copies: &[Copy], fates: &[Fate]) {
        for name in self.queues.keys().cloned().collect::<Vec<_>>() {
            let news = copies.iter().zip(fates);
            let news = news.filter(|(copy, fate)| copy.queue == name && **fate == Fate::New);
            let size = |(copy, _): (&Copy, _)| batch[copy.at].body.len() as u64;
            let sizes: Vec<u64> = news.map(size).collect();
            let more = (sizes.len() as u64, sizes.iter().sum());
            while more.0 > 0 && !self.fits_beside(&name, more, self.of_queue(&name)) {
                let waiting = self.of_queue(&name).filter(|m| !m.in_flight);
                let oldest = waiting.min_by_key(|m| m.order).expect("there is room");
                let sequence = oldest.id.sequence();
                self.messages.remove(&sequence);
                self.queues.get_mut(&name).expect("listed").dropped += 1;
                self.note_turns();
            }
        }
    }
}
