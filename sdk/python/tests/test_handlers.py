import unittest
from datetime import timedelta
from typing import Any, Callable

from gristmill import (
    Message, Postpone, Reject, Retry, RetryAfter, SendError, delivery, handler, open_body, reply, secrets, send, state,
    transaction,
)
from gristmill.testing import Delivery, Outcome

PLAIN = Message.of_text("")


def failing(error: BaseException) -> Callable[[Message], None]:
    def handle(message: Message) -> None:
        raise error

    return handle


def times(count: int, call: Callable[[int], Any]) -> Callable[[Message], None]:
    def handle(message: Message) -> None:
        for i in range(count):
            call(i)

    return handle


class Handlers(unittest.TestCase):
    def done(self, host: Delivery, handle: Callable[[Message], Any], message: Message = PLAIN) -> None:
        self.assertEqual(host.run(handle, message), Outcome("done"))

    def refused(self, handle: Callable[[Message], Any], expected: str, host: Delivery | None = None) -> None:
        outcome = (host or Delivery()).run(handle, PLAIN)
        self.assertEqual(outcome.kind, "retry")
        self.assertIn(expected, outcome.reason)

    def test_what_a_handler_raises_says_what_becomes_of_the_message(self) -> None:
        for error, expected in [
            (Reject("never"), Outcome("reject", "never")),
            (Retry("later"), Outcome("retry", "later")),
            (RetryAfter("busy", 30), Outcome("retry-after", "busy", 30_000)),
            (Postpone(timedelta(minutes=1.5)), Outcome("postpone", None, 90_000)),
        ]:
            self.assertEqual(Delivery().run(failing(error), PLAIN), expected)

    def test_an_exception_is_a_retry_with_its_traceback_and_its_causes(self) -> None:
        def handle(message: Message) -> None:
            try:
                {}["route"]
            except KeyError as error:
                raise ConnectionError("cannot store") from error

        outcome = Delivery().run(handle, PLAIN)
        self.assertEqual(outcome.kind, "retry")
        lines = outcome.reason.splitlines()
        self.assertEqual(lines[:2], ["ConnectionError: cannot store", "Traceback (most recent call last):"])
        self.assertRegex(lines[2], r'File ".*test_handlers\.py", line \d+, in handle')
        self.assertIn("caused by: KeyError: 'route'", lines)
        self.assertNotIn("entry.py", outcome.reason)

    def test_a_reason_has_at_most_4_kib_and_is_cut_between_characters(self) -> None:
        self.assertEqual(Delivery().run(failing(Reject("x" + "é" * 4095)), PLAIN).reason, "x" + "é" * 2047)

    def test_effects_count_if_the_handler_returns_and_are_dropped_if_it_raises(self) -> None:
        def handle(message: Message) -> None:
            state.add("seen", 1)
            send("out", {"attempt": message.attempt})
            if message.attempt < 2:
                raise ValueError("not yet")

        host = Delivery()
        self.assertEqual(host.run(handle, PLAIN).kind, "retry")
        self.assertEqual((host.sent(), host.keys()), ([], []))
        self.done(host, handle, Message.of_text("", attempt=2))
        self.assertEqual(host.counter("seen"), 1)
        self.assertEqual(host.sent("out")[0].json(), {"attempt": 2})

    def test_a_body_that_is_not_what_is_read_is_rejected(self) -> None:
        outcome = Delivery().run(lambda m: m.json() and None, Message.of_text('{"a":'))
        self.assertEqual(outcome.kind, "reject")
        self.assertRegex(outcome.reason, r"^the body is not JSON: .* line 1 column 6")
        outcome = Delivery().run(lambda m: m.text() and None, Message(b"\xff"))
        self.assertEqual(outcome, Outcome("reject", "the body is not UTF-8 text: invalid start byte at 0"))

    def test_what_is_sent_brings_its_content_type_and_options_the_rest(self) -> None:
        def handle(message: Message) -> None:
            send("q", "text")
            send("q", b"\x01")
            send("q", None)
            send("q", [1], group="g", delay=60, ttl=timedelta(hours=1), priority=9, attributes={"ключ": "数"}, type="t")

        host = Delivery()
        self.done(host, handle)
        kinds = [sent.content_type for sent in host.sent()]
        self.assertEqual(kinds, ["text/plain; charset=utf-8", None, "application/json", "application/json"])
        last = host.sent()[3]
        self.assertEqual(
            (last.group, last.delay, last.ttl, last.priority, last.attributes, last.type),
            ("g", 60_000, 3_600_000, 9, {"ключ": "数"}, "t"),
        )

    def test_what_cannot_be_sent_says_why(self) -> None:
        def small(**options: Any) -> Callable[[Message], Any]:
            return lambda m: send("small", "", **options) and None

        for handle, expected in [
            (lambda m: send("other", "") and None, 'cannot send to "other": there is no such queue'),
            (lambda m: send("small", "four") and None, "too large to send: the queue takes at most 3 bytes"),
            (small(group=""), "group must have 1 to 1024 bytes, but has 0"),
            (small(type="a\nb"), "type must not contain control characters"),
            (small(ttl=5, delay=5), "would expire before it is due"),
            (small(attributes={"gristmill-x": ""}), "is reserved"),
            (small(priority=10), "0 to 9"),
            (small(delay="soon"), "delay must be seconds or a timedelta"),
            (lambda m: send("small", object()) and None, "not JSON serializable"),
            (times(101, lambda _: send("small", "")), "as many messages or bytes as it may"),
            (lambda m: reply(m, "") and None, "the sender named no queue"),
        ]:
            with self.subTest(expected):
                self.refused(handle, expected, Delivery().allow("small", 3))

        def careful(message: Message) -> None:
            try:
                send("other", "")
            except SendError as error:
                state["caught"] = error.code

        host = Delivery().allow("small")
        self.done(host, careful)
        self.assertEqual(host.state("caught"), b"not-permitted")

    def test_a_reply_goes_to_whoever_asked_and_is_tied_to_the_question(self) -> None:
        host = Delivery()
        self.done(host, lambda m: reply(m, "yes") and None, Message(reply_to="answers", correlation_id="c-1"))
        sent = host.sent("answers")[0]
        self.assertEqual((sent.text(), sent.correlation_id, sent.is_reply), ("yes", "c-1", True))

    def test_state_is_a_mapping_and_counts(self) -> None:
        def handle(message: Message) -> None:
            state["b"] = "text"
            state.set_json("c", {"seen": state.get_json("a")["n"]})
            state.add("count", -7)
            del state["a"]
            assert "a" not in state and state.get("a") is None and state["b"] == b"text"
            assert list(state) == ["b", "c", "count"] and len(state) == 3
            assert state.counter("count") == -2 and state.counter("none") == 0

        host = Delivery().set_state("a", {"n": 1}).set_counter("count", 5)
        self.done(host, handle)
        self.assertEqual(host.state_json("c"), {"seen": 1})
        self.assertEqual(host.counter("count"), -2)

    def test_the_state_refuses_what_the_host_refuses(self) -> None:
        def not_a_counter(message: Message) -> None:
            state["k"] = "x"
            state.add("k", 1)

        large = b"x" * 256 * 1024
        for handle, expected in [
            (lambda m: state.get("") and None, "1 to 512 bytes, but this one has 0"),
            (lambda m: state.get("é" * 257) and None, "but this one has 514"),
            (times(1, lambda _: state.update(k=large + b"x")), "too large: at most 262144 bytes"),
            (not_a_counter, "holds no counter"),
            (times(1001, lambda i: state.get(f"k{i}")), "as many keys or bytes as it may"),
            (times(17, lambda i: state.update({f"k{i}": large})), "as many keys or bytes as it may"),
            (times(10_001, lambda _: state.page("", None, 1)), "as many keys or bytes as it may"),
            (lambda m: state.add("k", 2**63), "a whole number of 64 bits"),
            (times(1, lambda _: state.update(k=5)), "state.set_json"),
            (lambda m: state["none"] and None, "KeyError: 'none'"),
        ]:
            with self.subTest(expected):
                self.refused(handle, expected)

    def test_many_keys_are_listed_in_pages_and_in_byte_order(self) -> None:
        host = Delivery().set_state("k/ｚ", "x").set_state("k/𝄞", "x").set_state("l", "x")
        for i in range(250):
            host.set_state(f"k/{i:03}", "x")
        self.done(host, lambda m: state.set_json("found", list(state.keys("k/"))))
        found = host.state_json("found")
        self.assertEqual((len(found), found[-2:]), (252, ["k/ｚ", "k/𝄞"]))

    def test_a_rollback_forgets_what_was_sent_and_stored_since_the_mark(self) -> None:
        def handle(message: Message) -> None:
            state["kept"] = "1"
            before = transaction.mark()
            state["kept"] = "2"
            send("q", "forgotten")
            transaction.rollback(before)
            send("q", "kept")

        host = Delivery()
        self.done(host, handle)
        self.assertEqual((host.state("kept"), [sent.text() for sent in host.sent()]), (b"1", ["kept"]))
        self.refused(lambda m: transaction.rollback(7), "no such mark")

    def test_a_delivery_tells_what_is_known_about_it(self) -> None:
        def handle(message: Message) -> None:
            delivery.progress(40, "almost")
            state.set_json("seen", [
                delivery.remaining(), delivery.extend(20), delivery.max_attempts(), delivery.previous_failure(),
                delivery.ending(), secrets.get("key"), secrets.get("other"),
            ])

        host = Delivery().set_remaining(5, 60).set_previous_failure("it rained").set_secret("key", "s3")
        self.done(host, handle)
        self.assertEqual(host.state_json("seen"), [5.0, 20.0, 10, "it rained", False, "s3", None])
        self.assertEqual(host.progress, (40, "almost"))
        self.refused(lambda m: delivery.extend(3600) and None, "raise max_timeout", host)

    def test_a_large_body_is_read_piece_by_piece(self) -> None:
        whole = bytes(i % 251 for i in range(200_003))

        def handle(message: Message) -> None:
            reader = open_body(message)
            assert message.body == b"" and reader.size == 200_003
            assert reader.read() == whole
            reader.seek(200_000)
            assert reader.read(9) == whole[200_000:]

        self.assertEqual(Delivery().run(handle, Message(), large=whole), Outcome("done"))

    def test_what_is_to_be_awaited_is_refused(self) -> None:
        async def handle(message: Message) -> None: ...

        with self.assertRaisesRegex(TypeError, "handle must not be async"):
            handler(handle)

    def test_outside_of_a_delivery_nothing_can_be_used(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "only while a message is handled"):
            send("q", "")
        self.refused(lambda m: Delivery().run(lambda m: None, m) and None, "already running")


if __name__ == "__main__":
    unittest.main()
