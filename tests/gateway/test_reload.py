"""A file that is read again: what is taken over, and what is refused."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.checked_map import CheckedMap, MapRejected, check, text_hash
from gateway.file_watch import FileWatch
from gateway.reload import Reloader
from gateway.served import Outcome, Rejection, ServedMap
from gateway.telemetry.log import Log
from tests.doubles.clock import ManualClock
from tests.stores import eventually

MAP = """\
version: 1
store: STORE
tiers:
  routing:
    model: m
    price: {input: 1, output: 1}
    endpoints: [{url: "http://127.0.0.1:1/v1"}]
    context: 1000
    slots: 1
keys:
  - {name: demo, key: env:CALLER}
""".replace("STORE", "redis://127.0.0.1:1/0")
OTHER = MAP.replace("slots: 1", "slots: 2")


class RecordingServer:
    """Fulfils ``gateway.reload.Server``: keeps what it is told, refuses what it is told to refuse."""

    def __init__(self) -> None:
        self.taken: list[tuple[CheckedMap, ServedMap]] = []
        self.noted: list[Rejection | None] = []
        self.refusal: MapRejected | None = None

    async def take_over(self, checked: CheckedMap, served: ServedMap) -> None:
        """Take it, or refuse it."""
        if self.refusal is not None:
            raise self.refusal
        self.taken.append((checked, served))

    async def reject(self, rejection: Rejection | None) -> None:
        """Keep it."""
        self.noted.append(rejection)


class Subject:
    """A reloader of a file in a folder of the test's own."""

    def __init__(self, folder: Path, *, store: str | None = None) -> None:
        self.file = folder / "tiers.yaml"
        self.file.write_text(MAP)
        self.clock = ManualClock()
        self.server = RecordingServer()
        self._log = io.BytesIO()
        self.reloader = Reloader(
            (self.file, folder / "tiers.fleet.json"),
            check(MAP.encode(), file="tiers.yaml"),
            ServedMap(generation=1, hash=text_hash(MAP.encode()), loaded_unix=self.clock.unix()),
            store=store,
            server=self.server,
            clock=self.clock,
            report=Log(self._log, self.clock).event,
        )

    async def reload(self, text: str | None = None) -> Outcome:
        """With this text in the file."""
        if text is not None:
            self.file.write_text(text)
        return await self.reloader.reload("api")

    def logged(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    monkeypatch.setenv("CALLER", "sk-caller")
    return Subject(tmp_path)


async def test_another_map_is_taken_over_under_the_next_number(subject: Subject) -> None:
    """With the time at which that happened; the log has it."""
    subject.clock.advance(60)
    outcome = await subject.reload(OTHER)
    assert outcome == Outcome(result="loaded", generation=2, hash=text_hash(OTHER.encode()))
    [(checked, served)] = subject.server.taken
    assert checked.tier_map.tiers["routing"].slots == 2
    assert served == ServedMap(generation=2, hash=outcome.hash, loaded_unix=subject.clock.unix())
    [line] = subject.logged()
    assert (line["event"], line["generation"], line["cause"]) == ("tier_map.loaded", 2, "api")
    assert (line["hash"], line["tiers"]) == (outcome.hash, ["routing"])
    assert (await subject.reload(MAP)).generation == 3


async def test_the_same_map_is_not_taken_over_again(subject: Subject) -> None:
    """It stays the same generation."""
    assert await subject.reload() == Outcome(result="unchanged", generation=1, hash=text_hash(MAP.encode()))
    assert (subject.server.taken, subject.server.noted, subject.logged()) == ([], [], [])


async def test_a_secret_that_has_changed_is_a_change(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was rotated takes effect, although the file says the same."""
    monkeypatch.setenv("CALLER", "sk-another")
    assert (await subject.reload()).result == "loaded"
    [(checked, _)] = subject.server.taken
    assert list(checked.known.values()) == ["sk-another"]


async def test_a_bad_map_is_refused_and_the_last_good_one_stays(subject: Subject) -> None:
    """Since the first bad one, until the file is good again, also as it was."""
    bad = MAP.replace("slots: 1", "slots: -1")
    first = subject.clock.unix()
    outcome = await subject.reload(bad)
    assert (outcome.result, outcome.generation, outcome.hash) == ("rejected", 1, text_hash(MAP.encode()))
    assert "slots" in outcome.problems[0]
    subject.clock.advance(5)
    await subject.reload("also: bad")
    one, two = subject.server.noted
    assert one == Rejection(hash=text_hash(bad.encode()), since_unix=first, problems=outcome.problems)
    assert two is not None
    assert (two.hash, two.since_unix) == (text_hash(b"also: bad"), first)
    [line, _] = subject.logged()
    assert (line["event"], line["generation"], line["hash"]) == ("tier_map.rejected", 1, one.hash)
    assert line["problems"] == list(outcome.problems)
    assert (await subject.reload(MAP)).result == "unchanged"
    assert subject.server.noted[2:] == [None]
    subject.clock.advance(5)
    await subject.reload(bad)
    assert subject.server.noted[-1] == Rejection(hash=one.hash, since_unix=first + 10, problems=one.problems)
    assert (await subject.reload(OTHER)).result == "loaded"


async def test_who_serves_may_refuse_it_too(subject: Subject) -> None:
    """Then nothing has changed: the same map is tried again."""
    subject.server.refusal = MapRejected(("process 1 cannot",), hash="abc")
    outcome = await subject.reload(OTHER)
    assert (outcome.result, outcome.generation, outcome.problems) == ("rejected", 1, ("process 1 cannot",))
    subject.server.refusal = None
    assert (await subject.reload()).result == "loaded"


async def test_another_store_takes_a_restart(subject: Subject, tmp_path: Path) -> None:
    """Unless the setting names the store: then the tier map's is not used."""
    text = OTHER.replace("127.0.0.1:1/0", ":hunter2@127.0.0.1:2/0")
    outcome = await subject.reload(text)
    assert outcome.result == "rejected"
    assert "store: it has changed, which takes a restart" in outcome.problems[0]
    assert "hunter2" not in str(subject.logged())
    settled = Subject(tmp_path, store="redis://127.0.0.1:3/0")
    assert (await settled.reload(text)).result == "loaded"


async def test_one_at_a_time(subject: Subject) -> None:
    """Whoever asks second finds it done."""
    subject.file.write_text(OTHER)
    outcomes = await asyncio.gather(*(subject.reload() for _ in range(3)))
    assert [outcome.result for outcome in outcomes] == ["loaded", "unchanged", "unchanged"]


async def test_it_follows_its_file_and_signals(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is cancelled."""
    monkeypatch.setattr("gateway.reload.LOOK_SECONDS", 0.001)
    following = asyncio.ensure_future(subject.reloader.follow(FileWatch(subject.file)))
    subject.file.write_text(OTHER)
    await eventually(lambda: len(subject.server.taken) == 1)
    monkeypatch.setenv("CALLER", "sk-another")
    subject.reloader.ask()
    await eventually(lambda: len(subject.server.taken) == 2)
    assert [line["cause"] for line in subject.logged()] == ["file", "signal"]
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_another_address_of_a_deployed_endpoint_is_another_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map's own text is the same; the state beside it has changed."""
    monkeypatch.setenv("CALLER", "sk-caller")
    subject = Subject(tmp_path)
    assert (await subject.reload()).result == "unchanged"
    (tmp_path / "tiers.fleet.json").write_text('{"endpoints": {"other/0": {"url": "https://api.runpod.ai/v2/abc"}}}')
    assert (await subject.reload()).result == "loaded"
    [(checked, _)] = subject.server.taken
    assert b"https://api.runpod.ai/v2/abc" in checked.text
    assert (await subject.reload()).result == "unchanged"
