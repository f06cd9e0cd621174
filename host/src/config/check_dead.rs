//! Which queue takes what dies in which: it must be there, and no message may die in a circle.
//!
//! A part of [`check`](super::check).

use std::collections::BTreeMap;

use gristmill_queue::QueueName;
use toml::Spanned;

use super::problem::Problems;
use super::{QueueConfig, spelling};

/// Fills in the queues that take what dies in others: each is a queue with the name of another.
pub fn targets(
    typed: &[(Spanned<String>, Spanned<String>)],
    queues: &mut BTreeMap<QueueName, QueueConfig>,
    problems: &mut Problems<'_>,
) {
    let mut next: BTreeMap<&str, &str> = BTreeMap::new();
    for (queue, target) in typed {
        let key = format!("queue.{}.dead_letter", spelling::quoted(queue.get_ref()));
        let known = queues
            .keys()
            .find(|known| known.as_str() == target.get_ref());
        let Some(known) = known.cloned() else {
            let message = format!(
                "`{key}` names a queue that is not declared: {:?}",
                target.get_ref()
            );
            let names = queues.keys().map(QueueName::as_str);
            let cure = spelling::did_you_mean(target.get_ref(), names)
                .unwrap_or_else(|| "declare it: an empty table is enough".to_owned());
            problems.error(target.span(), &key, message, cure);
            continue;
        };
        next.insert(queue.get_ref(), target.get_ref());
        if let Some(circle) = circle(queue.get_ref(), &next) {
            next.remove(queue.get_ref().as_str());
            let message = format!("`{key}`: messages would die in a circle: {circle}");
            let cure =
                "let the last of them keep its dead letters itself: remove its `dead_letter`";
            problems.error(target.span(), &key, message, cure.to_owned());
            continue;
        }
        let config = queues
            .iter_mut()
            .find(|(name, _)| name.as_str() == queue.get_ref());
        if let Some((_, config)) = config {
            config.policy.dead_letter = Some(known);
        }
    }
}

/// The way from a queue back to itself.
fn circle(start: &str, next: &BTreeMap<&str, &str>) -> Option<String> {
    let (mut way, mut at) = (start.to_owned(), start);
    while let Some(&to) = next.get(at) {
        way.push_str(" → ");
        way.push_str(to);
        if to == start {
            return Some(way);
        }
        at = to;
    }
    None
}
