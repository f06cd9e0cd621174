use super::*;
use gristmill_sdk::testing::Delivery;

fn ask(delivery: &mut Delivery, body: &str) -> Result<(), Failure> {
    delivery.run(handle, Message::with_text(body))
}

#[test]
fn each_answer_is_the_one_asked_for() {
    let second = Duration::from_secs(1);
    for (body, expected) in [
        ("ok", Ok(())),
        ("\"ok\"", Ok(())),
        ("retry why", Err(Failure::retry("why"))),
        (
            "retry-after",
            Err(Failure::retry_after("asked for", second)),
        ),
        ("reject why", Err(Failure::reject("why"))),
        ("postpone 1000", Err(Failure::postpone(second))),
        ("until 2", Err(Failure::retry("only attempt 1"))),
        ("until 1", Ok(())),
        ("dance", Err(Failure::reject("there is no verb \"dance\""))),
        ("then-retry", Err(Failure::retry("after the effects"))),
    ] {
        let mut delivery = Delivery::new();
        assert_eq!(ask(&mut delivery, body), expected, "{body}");
        assert!(delivery.sent().is_empty(), "{body}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let mut delivery = Delivery::new();
    delivery
        .allow("out")
        .set_remaining(Duration::from_secs(1), Duration::from_secs(2));
    for body in [
        "send-too-much",
        "send-big",
        "send-to elsewhere",
        "reply hello",
        "extend-forever",
    ] {
        let result = ask(&mut delivery, body);
        assert!(
            matches!(result, Err(Failure::Retry { .. })),
            "{body}: {result:?}"
        );
        assert!(delivery.sent().is_empty(), "{body}");
    }
}

#[test]
#[should_panic(expected = "there is no such mark")]
fn a_bad_mark_traps() {
    let _ = ask(&mut Delivery::new(), "bad-mark");
}

#[test]
fn effects_are_the_ones_asked_for() {
    let mut delivery = Delivery::new();
    for body in [
        "count n",
        "count n",
        "tell n",
        "conflict k",
        "conflict k",
        "set s v",
        "rollback",
        "list ",
    ] {
        assert_eq!(ask(&mut delivery, body), Ok(()), "{body}");
    }
    assert_eq!(delivery.counter("n"), 2);
    assert_eq!(delivery.state_json::<u64>("k"), Some(2));
    let last: Vec<_> = delivery
        .sent()
        .iter()
        .skip(2)
        .map(|sent| sent.text())
        .collect();
    assert_eq!(last, ["2", "before the mark", r#"["k","n","s"]"#]);
}

#[test]
fn an_echo_is_the_same_message() {
    let message = Message::with_text("echo me")
        .with_attribute("a", "1")
        .with_group("g");
    let mut delivery = Delivery::new();
    assert_eq!(delivery.run(handle, message), Ok(()));
    let sent = &delivery.sent()[0];
    assert_eq!((sent.text(), sent.attribute("a")), ("echo me", Some("1")));
    assert_eq!(sent.message.group.as_deref(), Some("g"));
}
