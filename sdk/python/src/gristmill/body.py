"""Reading a body piece by piece, for those that are too large for the handler's memory."""

from __future__ import annotations

import io
from typing import Any

from gristmill.host import host, tag_of
from gristmill.message import Message

#: Bytes that are asked of the host at once.
_PIECE = 64 * 1024


class BodyError(OSError):
    """Why a body cannot be read."""


class BodyReader(io.RawIOBase):
    """A body as a file that is read; made by `open_body`."""

    def __init__(self, message_id: str) -> None:
        self._of = message_id
        self._at = 0
        #: Bytes of the whole body.
        self.size = int(self._ask("size"))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("there is nothing before the body")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        piece = self._ask("read", self._at, min(len(buffer), _PIECE))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _ask(self, verb: str, *rest: int) -> Any:
        try:
            return getattr(host("body"), verb)(self._of, *rest)
        except Exception as error:
            code, value = tag_of(error)
            raise BodyError(
                "the message is not of this delivery, so its body cannot be read"
                if code == "not-delivered"
                else f"the body cannot be read: {value}"
            ) from None


def open_body(message: Message) -> BodyReader:
    """Reads the body of a message piece by piece, however large it is.

    A handler that uses this gets large bodies only this way: `message.body` is empty then.
    """
    return BodyReader(message.id)
