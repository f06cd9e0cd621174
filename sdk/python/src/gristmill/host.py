"""Where the interfaces of the host are found: those that the component imports, or those of a fake delivery
in a test.

A component has no files: what it needs of Python is imported when it is built, so the interfaces are looked
for here once, and those that its world does not have are not there.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: The interfaces that a handler may import.
INTERFACES = ("producer", "state", "transaction", "delivery", "secrets", "body")

_bound: dict[str, Any] = {}
_running = False


def _look() -> bool:
    """Binds what the component imports; says whether this is one."""
    try:
        import_module("wit_world")
    except ModuleNotFoundError:
        return False
    for name in INTERFACES:
        try:
            _bound[name] = import_module(f"wit_world.imports.{name}")
        except ModuleNotFoundError:
            pass
    return True


#: Whether this is a component, or about to become one.
IN_COMPONENT = _look()


def rebind(interfaces: dict[str, Any]) -> dict[str, Any]:
    """Binds other interfaces in place of those before, which are returned."""
    global _bound
    before, _bound = _bound, interfaces
    return before


def set_running(running: bool) -> None:
    """Says that a handler runs, or that it has ended."""
    global _running
    _running = running


def is_running() -> bool:
    return _running


def host(name: str) -> Any:
    """The interface of this name, while a handler runs."""
    if not _running:
        raise RuntimeError(
            f"{name} can be used only while a message is handled: not at the top level of a module, and in a test "
            "within Delivery.run"
        )
    if name not in _bound:
        raise RuntimeError(f"this component does not import gristmill:queue/{name}: build it with gristmill-build")
    return _bound[name]


def tag_of(error: BaseException) -> tuple[str, Any]:
    """The case of an error of the interface, as `too-large`, and what it holds.

    The bindings have a class for each case, `SendError_TooLarge`, and an enumeration where no case holds
    anything. An error of Python itself is raised again.
    """
    payload = getattr(error, "value", error)
    if isinstance(payload, BaseException):
        raise error
    name = getattr(payload, "name", None)
    if isinstance(name, str):
        return name.lower().replace("_", "-"), None
    case = type(payload).__name__.rpartition("_")[2]
    words = "".join(f"-{c.lower()}" if c.isupper() else c for c in case).lstrip("-")
    return words, getattr(payload, "value", None)
