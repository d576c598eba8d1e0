"""Tables of what riders say, a sentence a line."""


def pairs(table: str) -> list[tuple[str, str]]:
    """Read lines of «sentence => expected»."""
    rows = [line.rsplit("=>", 1) for line in table.strip().splitlines()]
    return [(sentence.strip(), expected.strip()) for sentence, expected in rows]


def lines(table: str) -> list[str]:
    """Read lines of sentences."""
    return [line.strip() for line in table.strip().splitlines()]


def rows(table: str) -> list[str]:
    """Read sentences that share a line, with a bar between them."""
    return [sentence for line in table.strip("\n").split("\n") for sentence in line.split("|")]
