"""Undoing part of what a delivery has sent and stored."""

from gristmill.host import host


def mark() -> int:
    """Marks the present point."""
    return int(host("transaction").mark())


def rollback(to: int) -> None:
    """Forgets all that was sent and stored since the mark, and all later marks."""
    host("transaction").rollback_to(to)
