"""What of a model's text is meant for the rider. Pure.

Some models write their reasoning between ``<think>`` tags, or an extraction as JSON, where a sentence
is due. Neither is ever spoken.
"""

import json

_THINK_OPEN, _THINK_CLOSE = "<think>", "</think>"
_FENCE = "```"
_JSON_STARTS = ("{", "[", _FENCE)


class SpokenText:
    """Takes a model's text piece by piece and gives back what may be said so far.

    Text that begins like JSON is held back until it is whole: if it is JSON it is dropped, else it is
    said after all.
    """

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._decided = False
        self._half = ""
        self.said = ""

    def feed(self, piece: str) -> str:
        """Return what may be said now that ``piece`` has come."""
        piece = self._whole_characters(piece)
        if self._decided:
            self.said += piece
            return piece
        self._held += piece
        self._skip_thoughts()
        start = self._held.lstrip()
        if self._thinking or not start or _THINK_OPEN.startswith(start) or start.startswith(_JSON_STARTS):
            return ""
        if _FENCE.startswith(start):
            return ""
        return self._say(start)

    def finish(self) -> str:
        """Return what is left to say at the end."""
        if self._decided or self._thinking:
            return ""
        rest = self._held.strip()
        return "" if not rest or _is_json(rest) else self._say(rest)

    def _whole_characters(self, piece: str) -> str:
        """Join a character that was cut in two by the stream; what is no character becomes U+FFFD."""
        piece, self._half = self._half + piece, ""
        if "\ud800" <= piece[-1:] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        return piece.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _skip_thoughts(self) -> None:
        while True:
            if self._thinking:
                end = self._held.find(_THINK_CLOSE)
                if end < 0:
                    return
                self._held = self._held[end + len(_THINK_CLOSE) :]
                self._thinking = False
            elif self._held.lstrip().startswith(_THINK_OPEN):
                self._held = self._held.lstrip()[len(_THINK_OPEN) :]
                self._thinking = True
            else:
                return

    def _say(self, text: str) -> str:
        self._decided = True
        self._held = ""
        self.said = text
        return text


def _is_json(text: str) -> bool:
    if text.startswith(_FENCE):
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
