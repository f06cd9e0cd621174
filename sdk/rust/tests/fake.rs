//! The fake delivery as its users see it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gristmill_sdk::delivery::{self, ExtendError};
use gristmill_sdk::prelude::*;
use gristmill_sdk::testing::Delivery;
use gristmill_sdk::{SendError, secrets, transaction};

fn message() -> Message {
    Message::with_text("x")
}

#[test]
fn nothing_is_left_of_a_handler_that_fails_or_panics() {
    let mut fake = Delivery::new();
    fake.set_counter("n", 5);
    let effects = || -> Result<(), Failure> {
        state::add("n", 1)?;
        state::set("k", "v")?;
        send("out", "x")?;
        Ok(())
    };
    let failed = fake.run(
        |_| effects().and(Err(Failure::retry("after all"))),
        message(),
    );
    assert_eq!(failed, Err(Failure::retry("after all")));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        fake.run(|_| effects().map(|()| panic!("after all")), message())
    }));
    assert!(panicked.is_err());
    assert_eq!((fake.sent().len(), fake.state("k")), (0, None));
    assert_eq!(fake.counter("n"), 5);

    assert_eq!(fake.run(|_| effects(), message()), Ok(()));
    assert_eq!((fake.sent().len(), fake.counter("n")), (1, 6));
}

#[test]
fn only_the_queues_that_are_allowed_take_messages() {
    let mut fake = Delivery::new();
    fake.allow_up_to("small", 2).allow("other");
    let run = fake.run(
        |_| {
            assert!(send("small", "12").is_ok());
            assert_eq!(send("small", "123"), Err(SendError::TooLarge { limit: 2 }));
            let queue = "elsewhere".to_owned();
            assert_eq!(send(&queue, ""), Err(SendError::NotPermitted { queue }));
            for _ in 1..100 {
                assert!(send("other", "").is_ok());
            }
            assert_eq!(send("other", ""), Err(SendError::TooMany));
        },
        message(),
    );
    assert_eq!(run, Ok(()));
    assert_eq!(fake.sent_to("other").count(), 99);
}

#[test]
fn a_reply_goes_to_who_asked_and_is_tied_to_the_question() {
    let answer = |message: Message| -> Result<(), SendError> {
        message.reply("yes")?;
        Ok(())
    };
    let mut fake = Delivery::new();
    fake.allow("nothing-else");
    let failed = fake.run(answer, message()).unwrap_err();
    assert!(failed.to_string().contains("cannot reply"), "{failed}");

    let asked = message().with_id("q-1").with_reply_to("answers");
    assert_eq!(fake.run(answer, asked), Ok(()));
    let sent = &fake.sent()[0];
    assert_eq!((sent.to.as_str(), sent.reply), ("answers", true));
    assert_eq!(sent.message.correlation_id.as_deref(), Some("q-1"));
}

#[test]
fn a_delivery_is_as_the_test_says() {
    let mut fake = Delivery::new();
    fake.set_secret("token", "s3cret")
        .set_max_attempts(None)
        .set_previous_failure(Some("down"))
        .set_remaining(Duration::from_secs(1), Duration::from_secs(60));
    let run = fake.run(
        |_| {
            assert_eq!(secrets::get("token").as_deref(), Some("s3cret"));
            assert_eq!(secrets::get("other"), None);
            assert_eq!(delivery::max_attempts(), None);
            assert_eq!(delivery::previous_failure().as_deref(), Some("down"));
            assert_eq!(delivery::remaining(), Duration::from_secs(1));
            let minute = Duration::from_secs(60);
            assert_eq!(delivery::extend(minute), Ok(minute));
            assert_eq!(delivery::remaining(), minute);
            let too_much = delivery::extend(minute * 2);
            assert_eq!(too_much, Err(ExtendError::LimitReached));
            assert!(!delivery::ending());
            delivery::progress(40, "counting");
        },
        message(),
    );
    assert_eq!(run, Ok(()));
    assert_eq!(fake.progress(), Some((40, "counting")));

    fake.set_ending(true);
    let run = fake.run(
        |_| {
            assert!(delivery::ending());
            let more = delivery::extend(Duration::from_secs(1));
            assert_eq!(more, Err(ExtendError::Ending));
        },
        message(),
    );
    assert_eq!(run, Ok(()));
}

#[test]
fn state_is_read_as_it_was_written() {
    let mut fake = Delivery::new();
    fake.set_state_json("order", &[1, 2]).set_state("text", "x");
    let run = fake.run(
        |_| -> Result<(), Failure> {
            let mut order: Vec<u32> = state::get_json("order")?.unwrap();
            order.push(3);
            state::set_json("order", &order)?;
            assert_eq!(state::get_json("order")?, Some(order));
            let broken = state::get_json::<u8>("text");
            assert!(matches!(broken, Err(state::Error::NotJson { .. })));
            assert_eq!(state::counter("absent")?, 0);
            let set = state::counter("text");
            assert!(matches!(set, Err(state::Error::NotACounter { .. })));
            Ok(())
        },
        message(),
    );
    assert_eq!(run, Ok(()));
    assert_eq!(fake.state_json("order"), Some([1, 2, 3]));
}

#[test]
fn all_keys_come_page_by_page_while_they_change() {
    let mut fake = Delivery::new();
    for i in 0..250 {
        fake.set_counter(&format!("a/{i:03}"), i);
    }
    fake.set_counter("b", 1);
    let run = fake.run(
        |_| -> Result<(), Failure> {
            let mut seen = 0;
            for key in state::keys("a/") {
                assert_eq!(key?, format!("a/{seen:03}"));
                state::remove(&format!("a/{seen:03}"))?;
                seen += 1;
            }
            assert_eq!(seen, 250);
            Ok(())
        },
        message(),
    );
    assert_eq!(run, Ok(()));
    assert_eq!(fake.keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_rollback_takes_back_what_was_sent_and_stored_since() {
    let mut fake = Delivery::new();
    let run = fake.run(
        |_| -> Result<(), Failure> {
            send("out", "kept")?;
            let mark = transaction::mark();
            send("out", "dropped")?;
            state::add("n", 1)?;
            transaction::rollback(mark);
            state::add("n", 10)?;
            Ok(())
        },
        message(),
    );
    assert_eq!(run, Ok(()));
    assert_eq!((fake.sent().len(), fake.counter("n")), (1, 10));
}

#[test]
#[should_panic(expected = "no delivery is running on this thread")]
fn a_call_outside_of_a_delivery_says_how_to_make_one() {
    let _ = send("out", "x");
}
