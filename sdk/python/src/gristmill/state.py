"""What the handler keeps between messages, written with the ack."""

from __future__ import annotations

import json
from typing import Any, Iterator, MutableMapping

from gristmill.host import host, tag_of

#: How many keys are fetched at a time.
_PAGE = 100


class StateError(Exception):
    """Why a key or value could not be read or written. Not caught, it becomes a retry."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        #: "invalid-key", "too-large", "quota-exceeded", "not-a-counter", "unavailable" or "not-json".
        self.code = code


class State(MutableMapping[str, Any]):
    """A mapping of keys to bytes: `state["key"]`, `state["key"] = "text"`, `del`, `in`, `get`, `items`.

    Text is stored as UTF-8. Reads see what this delivery has written. Other deliveries see it after the ack.
    """

    def __getitem__(self, key: str) -> bytes:
        value = self._ask(key, "get")
        if value is None:
            raise KeyError(key)
        return bytes(value)

    def __setitem__(self, key: str, value: bytes | str) -> None:
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError("a state value is text or bytes; for other values there is state.set_json")
        self._ask(key, "set", bytes(value))

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.remove(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._ask(key, "get") is not None

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __len__(self) -> int:
        return sum(1 for _ in self.keys())

    def remove(self, key: str) -> None:
        """Removes a key; it need not exist."""
        self._ask(key, "remove")

    def get_json(self, key: str, default: Any = None) -> Any:
        """The value of a key as JSON."""
        value = self._ask(key, "get")
        if value is None:
            return default
        try:
            return json.loads(value)
        except ValueError as error:
            raise StateError("not-json", f"the value of state key {_quoted(key)} is not JSON: {error}") from None

    def set_json(self, key: str, value: Any) -> None:
        """Sets the value of a key to JSON."""
        self[key] = json.dumps(value, ensure_ascii=False)

    def add(self, key: str, delta: int) -> None:
        """Adds to a counter, which starts at 0. Deliveries that only add to the same counter never disturb each other."""
        if not isinstance(delta, int) or not -(2**63) <= delta < 2**63:
            raise TypeError(f"state.add takes a whole number of 64 bits, not {delta!r}")
        self._ask(key, "add", delta)

    def counter(self, key: str) -> int:
        """What a counter stands at; 0 if there is none."""
        value = self._ask(key, "get")
        if value is None:
            return 0
        if len(value) != 8:
            raise _state_error(("not-a-counter", None), key)
        return int.from_bytes(value, "little", signed=True)

    def keys(self, prefix: str = "") -> Iterator[str]:  # type: ignore[override]
        """All keys that start with `prefix`, in byte order, fetched in pages while one goes."""
        after: str | None = None
        while True:
            found = self.page(prefix, after, _PAGE)
            yield from found
            if len(found) < _PAGE:
                return
            after = found[-1]

    def page(self, prefix: str, after: str | None, limit: int) -> list[str]:
        """At most `limit` keys (and at most 1,000) that start with `prefix` and sort after `after`."""
        return list(self._ask(prefix, "list_keys", after, limit))

    def _ask(self, key: str, verb: str, *rest: Any) -> Any:
        if not isinstance(key, str):
            raise TypeError(f"a state key is a text, not {key!r}")
        try:
            return getattr(host("state"), verb)(key, *rest)
        except Exception as error:
            raise _state_error(tag_of(error), key) from None


#: The state of this handler.
state = State()


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _state_error(case: tuple[str, Any], key: str) -> StateError:
    code, value = case
    texts = {
        "invalid-key": f"a state key must have 1 to 512 bytes, but this one has {len(key.encode())}",
        "too-large": f"the value for state key {_quoted(key)} is too large: at most {value} bytes are allowed",
        "quota-exceeded": (
            "the state of this handler is full, or this delivery has touched as many keys or bytes as it may: raise "
            "the limit in the configuration of the handler"
        ),
        "not-a-counter": (
            f"state key {_quoted(key)} holds no counter: it was set, not added to; use another key, or remove it first"
        ),
    }
    return StateError(code, texts.get(code, f"the state is unavailable: {value}"))
