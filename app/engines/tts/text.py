"""The answer is read, not heard: text passes through."""


class TextTts:
    """The engine of a rider who reads."""

    speaks = False
