"""What could not be booked outlives the process, and is taken over once."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.budget.ledger import LIFE_SECONDS_MAX, Claim, Concerned
from gateway.journal import Entry, Journal
from tests.doubles.clock import ManualClock
from tests.gateway.samples import budget
from tiers.budgets import concerns
from tiers.windows import Window

BUDGETS = (budget(), budget(name="tokens", unit="tokens"))
CONCERNS = concerns(BUDGETS, tier="routing", agent="", key="demo", flow="", run="")

KILLED = """
import os, signal, sys
from pathlib import Path
from gateway.budget.ledger import NOT_CONCERNED, Claim
from gateway.journal import Journal
journal = Journal(Path(sys.argv[1]), now_unix=lambda: float(sys.argv[2]), report=print)
claim = Claim(id="req_1", slot=None, concerned=NOT_CONCERNED, amounts=(), life_seconds=60, allowed=7)
journal.keep(claim, (), seconds=60, tier="routing", microdollars=7)
os.kill(os.getpid(), signal.SIGKILL)
"""


def claim(name: str, *, allowed: int | None = None) -> Claim:
    """A claim on two budgets."""
    return Claim(
        id=name, slot=None, concerned=Concerned(CONCERNS), amounts=[500, 500], life_seconds=60, allowed=allowed
    )


class Desk:
    """Journals over one directory, one after the other or beside each other, and what they reported."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.directory = directory / "settlements"
        self.reported: list[tuple[str, dict[str, Any]]] = []

    def journal(self) -> Journal:
        """That of one more process."""
        return Journal(self.directory, now_unix=self.clock.unix, report=self._report)

    @property
    def files(self) -> list[Path]:
        """What is on disk."""
        return sorted(self.directory.iterdir())

    def _report(self, name: str, **fields: Any) -> None:  # noqa: ANN401 - fields of any event
        self.reported.append((name, fields))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_nothing_is_written_while_nothing_is_kept(desk: Desk) -> None:
    journal = desk.journal()
    assert journal.adopt() == []
    journal.done("req_1")
    journal.close()
    assert not desk.directory.exists()


def test_what_is_left_is_found_by_the_next_process_as_it_was_written(desk: Desk) -> None:
    first = desk.journal()
    first.keep(claim("settled"), [7, 10], seconds=60)
    first.keep(claim("released"), None, seconds=50)
    first.keep(claim("booked", allowed=90), [9, 12], seconds=LIFE_SECONDS_MAX, tier="routing", microdollars=9)
    first.close()
    now = desk.clock.unix()
    second = desk.journal()
    assert second.adopt() == [
        Entry(id="settled", until_unix=now + 60, amounts=[7, 10], concerns=list(CONCERNS)),
        Entry(id="released", until_unix=now + 50, concerns=list(CONCERNS)),
        Entry(
            id="booked", until_unix=now + LIFE_SECONDS_MAX, amounts=[9, 12], concerns=list(CONCERNS), tier="routing",
            let_in=True, microdollars=9,
        ),
    ]  # fmt: skip
    assert len(desk.files) == 1
    assert desk.reported == [("journal.adopted", {"settlements": 3})]


def test_windows_of_every_kind_come_back(desk: Desk) -> None:
    windows = [
        Window(seconds=3600),
        Window(kind="calendar", seconds=86_400, unit="day", zone="Europe/Berlin"),
        Window(kind="rolling", seconds=60),
    ]
    of_windows = [type(CONCERNS[0])("money", "*", "USD", 5, window, "shadow") for window in windows]
    kept = Claim(id="c", slot=None, concerned=Concerned(tuple(of_windows)), amounts=[1, 2, 3], life_seconds=9)
    first = desk.journal()
    first.keep(kept, [1, 2, 3], seconds=9)
    first.close()
    [entry] = desk.journal().adopt()
    again = entry.claim(9)
    assert (again.concerned.concerns, again.amounts, again.allowed) == (tuple(of_windows), [1, 2, 3], None)


def test_the_last_word_counts_and_what_is_done_is_gone(desk: Desk) -> None:
    """An attempt is noted at its worst case when it is let in, and at its cost when it ends."""
    first = desk.journal()
    for name in ("ended", "released", "running"):
        first.keep(claim(name, allowed=500), [500, 500], seconds=60, tier="routing", microdollars=500)
    first.keep(claim("ended", allowed=500), [7, 10], seconds=60, tier="routing", microdollars=7)
    first.done("released")
    first.close()
    found = {entry.id: (entry.amounts, entry.microdollars) for entry in desk.journal().adopt()}
    assert found == {"ended": ([7, 10], 7), "running": ([500, 500], 500)}


def test_where_all_is_done_nothing_is_left(desk: Desk) -> None:
    journal = desk.journal()
    journal.keep(claim("one"), [7, 10], seconds=60)
    journal.keep(claim("two"), None, seconds=60)
    journal.done("one")
    journal.done("two")
    [file] = desk.files
    assert file.stat().st_size == 0
    journal.close()
    assert desk.files == []


def test_the_file_of_a_process_that_lives_is_left_alone(desk: Desk) -> None:
    first = desk.journal()
    first.keep(claim("one"), [7, 10], seconds=60)
    second, third = desk.journal(), desk.journal()
    assert second.adopt() == []
    first.close()
    assert len(second.adopt()) == 1
    assert third.adopt() == []
    second.close()
    assert [entry.id for entry in third.adopt()] == ["one"]


def test_a_process_that_is_killed_leaves_what_it_kept(desk: Desk) -> None:
    """A real one, by SIGKILL."""
    command = [sys.executable, "-c", KILLED, str(desk.directory), str(desk.clock.unix())]
    assert subprocess.run(command, check=False).returncode == -9
    [entry] = desk.journal().adopt()
    assert (entry.id, entry.tier, entry.microdollars, entry.let_in) == ("req_1", "routing", 7, True)


@pytest.mark.parametrize("cut", [2, 20, 60])
def test_a_line_that_was_cut_off_is_left_out(desk: Desk, cut: int) -> None:
    first = desk.journal()
    first.keep(claim("one"), [7, 10], seconds=60)
    first.keep(claim("two"), [8, 11], seconds=60)
    first.close()
    [file] = desk.files
    os.truncate(file, file.stat().st_size - cut)
    assert [entry.id for entry in desk.journal().adopt()] == ["one"]
    assert ("journal.torn", {"file": file.name, "lines": 1}) in desk.reported


def test_a_line_that_was_changed_or_is_foreign_is_left_out(desk: Desk) -> None:
    first = desk.journal()
    first.keep(claim("one"), [7, 10], seconds=60)
    first.close()
    [file] = desk.files
    text = file.read_bytes()
    file.write_bytes(text.replace(b'"amounts":[7', b'"amounts":[8') + b'6ab8de63 {"id":5}\nfoo\n')
    assert desk.journal().adopt() == []
    assert desk.reported == [("journal.torn", {"file": file.name, "lines": 3})]
    assert desk.files == []


def test_what_was_let_in_and_may_be_forgotten_by_the_ledger_is_reported_and_not_booked(desk: Desk) -> None:
    """Others were charged in full by the ledger when they expired."""
    first = desk.journal()
    first.keep(claim("booked", allowed=500), [7, 10], seconds=60, tier="routing", microdollars=7)
    first.keep(claim("settled"), [7, 10], seconds=60)
    first.close()
    desk.clock.advance(60)
    assert desk.journal().adopt() == []
    lost = {"id": "booked", "tier": "routing", "amounts": {"money": 7, "tokens": 10}}
    assert desk.reported[1:] == [("settlement.lost", lost)]


def test_a_directory_that_cannot_be_written_is_reported_once_and_stops_nobody(desk: Desk) -> None:
    desk.directory.parent.joinpath("settlements").write_text("a file")
    journal = desk.journal()
    assert journal.adopt() == []
    journal.keep(claim("one"), [7, 10], seconds=60)
    journal.keep(claim("two"), [7, 10], seconds=60)
    journal.done("one")
    journal.done("two")
    journal.close()
    [(name, fields)] = desk.reported
    assert name == "journal.failed"
    assert str(desk.directory) in fields["directory"]


def test_after_a_full_disk_the_next_line_can_be_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the line before it, only a part was written."""
    write = os.write
    journal = desk.journal()
    monkeypatch.setattr("gateway.journal.os.write", lambda file, text: write(file, text[:30]))
    journal.keep(claim("one"), [7, 10], seconds=60)
    monkeypatch.undo()
    journal.keep(claim("two"), [7, 10], seconds=60)
    journal.close()
    assert [name for name, _ in desk.reported] == ["journal.failed"]
    assert [entry.id for entry in desk.journal().adopt()] == ["two"]


def test_only_the_owner_can_read_it(desk: Desk) -> None:
    journal = desk.journal()
    journal.keep(claim("one"), [7, 10], seconds=60)
    [file] = desk.files
    assert file.stat().st_mode & 0o777 == 0o600
    assert desk.directory.stat().st_mode & 0o777 == 0o700
    journal.close()


async def test_the_disk_is_told_to_keep_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("gateway.journal.os.fdatasync", synced.append)
    journal = desk.journal()
    await journal.sync()
    assert synced == []
    journal.keep(claim("one"), [7, 10], seconds=60)
    await journal.sync()
    assert len(synced) == 1
    journal.close()
