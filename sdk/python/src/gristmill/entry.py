"""What stands between the component's exports and the function of the user."""

from __future__ import annotations

import inspect
import linecache
import sys
from typing import Any, Callable, NoReturn, TypeVar

from gristmill.failure import Failure, is_of_the_user, reason_of
from gristmill.host import IN_COMPONENT, set_running
from gristmill.message import Message, message_of

Handle = TypeVar("Handle", bound=Callable[[Message], Any])

if IN_COMPONENT:
    # A component has no files, so what is needed later is imported while it is built.
    from componentize_py_types import Err  # type: ignore[import-not-found]
    from wit_world.imports import types as wit  # type: ignore[import-not-found]


def handler(handle: Handle) -> Handle:
    """Makes a function the handler of its module: it is called once for every message.

    The function itself is unchanged, so tests call it by `testing.Delivery.run`.
    """
    if inspect.iscoroutinefunction(handle):
        raise TypeError(f"{handle.__name__} must not be async: a message is handled when it returns")
    if IN_COMPONENT:
        module = sys.modules[handle.__module__]
        if hasattr(module, "Handler"):
            raise TypeError(f"{handle.__module__} has two handlers: a component has one")
        # The name of the interface, which the tool looks for.
        setattr(module, "Handler", _exported(handle))
        _keep_sources()
    return handle


def _exported(handle: Callable[[Message], Any]) -> type:
    class Handler:
        def handle(self, record: Any) -> None:
            try:
                run(handle, message_of(record))
            except BaseException as error:
                _fail(error)

    return Handler


def run(handle: Callable[[Message], Any], message: Message) -> None:
    """Handles one message."""
    set_running(True)
    try:
        if inspect.isawaitable(handle(message)):
            raise TypeError("the handler returned something to be awaited: a message is handled when it returns")
    finally:
        set_running(False)


def _fail(error: BaseException) -> NoReturn:
    """Raises what the interface has for it."""
    reason = reason_of(error)
    if not isinstance(error, Failure) or error.kind == "retry":
        raise Err(wit.Failure_Retry(reason)) from None
    if error.kind == "reject":
        raise Err(wit.Failure_Reject(reason)) from None
    if error.kind == "retry-after":
        raise Err(wit.Failure_RetryAfter(wit.DelayedRetry(reason, error.delay_ms))) from None
    raise Err(wit.Failure_Postpone(error.delay_ms)) from None


def _keep_sources() -> None:
    """Keeps the lines of the user's files for tracebacks: in the component there is no file to look into."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and is_of_the_user(file):
            lines = linecache.getlines(file)
            # Without a time of change it is not looked for again.
            linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
