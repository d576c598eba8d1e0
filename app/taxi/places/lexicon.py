"""A readable way to write lists of words in code."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text separated by blanks.

    Args:
        text: folded words.

    Returns:
        The set of them.
    """
    return frozenset(text.split())
