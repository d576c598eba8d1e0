"""The parser against real address strings of the city (see data/README.md)."""

import csv
from pathlib import Path

import pytest

from app.taxi.places import Gazetteer, parse_address

pytestmark = pytest.mark.unit

DATA = Path(__file__).parent / "data"
GAZETTEER = Gazetteer.load()


def _sample() -> list[dict[str, str]]:
    with (DATA / "sample_200.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_at_least_97_percent_of_the_corpus_has_street_and_cross_street() -> None:
    lines = (DATA / "accident_addresses.txt").read_text(encoding="utf-8").splitlines()
    readings = [parse_address(line, GAZETTEER) for line in lines]
    parsed = [
        reading
        for reading in readings
        if reading.status in {"address", "corner"}
        and reading.parsed is not None
        and (reading.parsed.cross is not None or reading.parsed.km is not None)
    ]
    share = len(parsed) / len(lines)
    print(f"corpus: {len(parsed)} of {len(lines)} strings parsed to street and cross street ({share:.2%})")
    assert share >= 0.97


def test_at_least_98_percent_of_the_hand_checked_sample_is_exactly_right() -> None:
    sample = _sample()
    wrong = []
    for row in sample:
        reading = parse_address(row["text"], GAZETTEER)
        if (reading.status, reading.address or "") != (row["status"], row["address"]):
            wrong.append((row["text"], row["address"], reading.address))
    print(f"sample: {len(sample) - len(wrong)} of {len(sample)} exactly right; wrong: {wrong}")
    assert len(sample) == 200
    assert len(wrong) <= 4


def test_every_canonical_form_of_the_corpus_is_read_back_the_same() -> None:
    lines = (DATA / "accident_addresses.txt").read_text(encoding="utf-8").splitlines()
    for line in lines[::7]:
        reading = parse_address(line, GAZETTEER)
        if reading.parsed is not None and reading.address is not None:
            assert parse_address(reading.address, GAZETTEER).parsed == reading.parsed, line
