"""Secrets granted to the handler in the configuration of the host."""

from __future__ import annotations

from gristmill.host import host


def get(name: str) -> str | None:
    """The secret of this name, or `None` if none was granted. Never put it into a message, a log line or a reason."""
    return host("secrets").get(name)  # type: ignore[no-any-return]
