"""Server-Sent Events out of bytes, as far as model servers use them. Pure.

After the WHATWG HTML standard, section 9.2: lines end in LF, CR LF or CR, an empty line ends an event, the ``data``
lines of an event are joined by LF; comments and other fields are passed over.
"""

MOST_BYTES = 1 << 20
"""An event may be so long: more is no answer of a model."""


class EventStreamDecoder:
    """Takes bytes however they are cut, and gives the data of each event once it is whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._held = 0

    def feed(self, received: bytes) -> list[bytes]:
        """Return the data of the events that these bytes end.

        Raises:
            ValueError: An event is longer than ``MOST_BYTES``.
        """
        lines = (self._rest + received).splitlines(keepends=True)
        # A line may go on, and a CR at the end may be half of a CR LF.
        self._rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        events: list[bytes] = []
        for line in lines:
            text = line.rstrip(b"\r\n")
            if text.startswith(b"data:"):
                self._data.append(text[5:].removeprefix(b" "))
                self._held += len(text)
            elif not text:
                if self._data:
                    events.append(b"\n".join(self._data))
                self._data, self._held = [], 0
        if self._held + len(self._rest) > MOST_BYTES:
            raise ValueError("an event without end")
        return events
