//! Says when the time of the queues and the wall clock are apart.
//!
//! The queues do not follow steps of the wall clock (see the store's clock), so a clock that was
//! wrong when the host started, or is put right while it runs, leaves the two apart. Waits are not
//! touched by that; what goes by the date is, and only a person can say which clock is right.

use std::time::Duration;

use gristmill_store::Drift;

use crate::queues::Queues;

/// Less is not worth a word: clocks of machines are put right in small steps all the time.
const APART: Duration = Duration::from_secs(60);
/// How often the two are compared.
const LOOK: Duration = Duration::from_secs(60);

/// Compares the two now and again, and logs when they come apart or together.
pub async fn watch(queues: Queues) {
    let mut told = None;
    loop {
        if let Some(text) = news(queues.drift(), &mut told) {
            tracing::warn!("{text}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What to say, if it was not said before. `told` is how far they were apart then.
fn news(drift: Drift, told: &mut Option<Drift>) -> Option<String> {
    let (Drift::Ahead(by) | Drift::Behind(by)) = drift;
    if by < APART {
        return told
            .take()
            .map(|_| "the time of the queues and the wall clock agree again".to_owned());
    }
    if told.is_some_and(|before| !has_stepped(before, drift)) {
        return None;
    }
    *told = Some(drift);
    let span = span(by);
    Some(match drift {
        Drift::Ahead(_) => format!(
            "the time of the queues is {span} ahead of the wall clock, because the store was used \
             under a later one: delays, retries and windows are as long as they should be, but \
             what is sent for a date, and the crontab, is early by so much. If the wall clock is \
             wrong, set it"
        ),
        Drift::Behind(_) => format!(
            "the time of the queues is {span} behind the wall clock, which was set forward since \
             the start: delays, retries and windows are as long as they should be, but what is \
             sent for a date, and the crontab, is late by so much. If the wall clock is right, \
             restart the host"
        ),
    })
}

/// In the largest unit of which there are two.
fn span(by: Duration) -> String {
    let seconds = by.as_secs();
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    let unit = units.iter().find(|(size, _)| seconds >= 2 * size);
    unit.map_or_else(
        || format!("{seconds} seconds"),
        |(size, name)| format!("{} {name}", seconds / size),
    )
}

fn has_stepped(before: Drift, now: Drift) -> bool {
    match (before, now) {
        (Drift::Ahead(before), Drift::Ahead(now)) | (Drift::Behind(before), Drift::Behind(now)) => {
            before.abs_diff(now) >= APART
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_come_apart_are_told_once_and_again_when_they_step_or_agree() {
        const HOUR: Duration = Duration::from_secs(3600);
        let second = Duration::from_secs(1);
        let mut told = None;
        let mut said = |drift| {
            let text = news(drift, &mut told)?;
            let words: Vec<&str> = text.split(' ').skip(6).take(3).collect();
            Some(words.join(" "))
        };
        assert_eq!(said(Drift::Ahead(APART - second)), None);
        assert_eq!(said(Drift::Behind(APART - second)), None);
        assert_eq!(
            said(Drift::Ahead(HOUR)).as_deref(),
            Some("60 minutes ahead")
        );
        assert_eq!(said(Drift::Ahead(HOUR + second)), None);
        assert_eq!(
            said(Drift::Ahead(2 * HOUR)).as_deref(),
            Some("2 hours ahead")
        );
        assert_eq!(
            said(Drift::Behind(HOUR)).as_deref(),
            Some("60 minutes behind")
        );
        assert_eq!(
            said(Drift::Ahead(Duration::ZERO)).as_deref(),
            Some("the wall clock")
        );
        assert_eq!(said(Drift::Ahead(Duration::ZERO)), None);
    }

    #[test]
    fn what_is_said_names_the_cure() {
        let ahead = news(Drift::Ahead(Duration::from_secs(86_400 * 365)), &mut None).unwrap();
        assert!(ahead.starts_with("the time of the queues is 365 days ahead of the wall clock"));
        assert!(ahead.ends_with("If the wall clock is wrong, set it"));
        let behind = news(Drift::Behind(APART), &mut None).unwrap();
        assert!(behind.starts_with("the time of the queues is 60 seconds behind the wall clock"));
        assert!(behind.ends_with("If the wall clock is right, restart the host"));
    }
}
