"""The results as tables: a report of everything, and the sections of two pages that show where Tiergate stands."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import figures
from bench.aims import AIMS, TIMES
from bench.figures import Results

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "bench/results"
COMMAND = "python3 bench/run.py HARNESS"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_SECTION = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)

_PEERS = ("tiergate", "tiergate-nobudget", "nginx-deb", "envoy", "vllm-router", "portkey", "litellm")
_SCENARIOS = {
    "json_c64": "JSON, 64 connections",
    "think50_c64": "JSON, 64 connections, the endpoint thinks 50 ms",
    "paced_c64": "SSE, 64 streams of 64 tokens, one each 5 ms",
}


def load(folder: Path) -> dict[str, Any]:
    """Every part's result in ``folder``, by the part's name."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}


def newest() -> Path:
    """The folder of the latest results.

    Raises:
        FileNotFoundError: There is none.
    """
    folders = sorted(folder for folder in FOLDER.iterdir() if (folder / "machine.json").is_file())
    if not folders:
        raise FileNotFoundError(f"{FOLDER} has no results")
    return folders[-1]


def write_report(folder: Path) -> None:
    """Write ``report.md`` beside the results."""
    (folder / "report.md").write_text("\n".join(_report(folder.name, load(folder))), encoding="utf-8")


def write_readmes() -> None:
    """Bring the newest results into the repository's README and the bench's own."""
    for page in (ROOT / "README.md", ROOT / "bench/README.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(with_section(text, page_section(page)), encoding="utf-8")


def with_section(page: str, section: str) -> str:
    """``page`` with ``section`` between its markers. Raises ``ValueError`` where it has none."""
    if not _SECTION.search(page):
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return _SECTION.sub(lambda _: section, page)


def section_of(page: str) -> str:
    """What stands between the markers of ``page``, with them. Raises ``ValueError`` where it has none."""
    match = _SECTION.search(page)
    if match is None:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return match[0]


def page_section(page: Path) -> str:
    """What belongs between the markers of ``page``: the aims, and on the bench's own page all tables."""
    folder = newest()
    results, parts = load(folder), []
    if page.parent.name == "bench":
        parts = [*_tables(results)]
        plot = f"results/{folder.name}/plot.svg"
        if (folder / "plot.svg").is_file():
            parts = [f"![CPU per request beside peers, and the soak]({plot})", "", *parts]
        place = f"results/{folder.name}/report.md"
        parts = [*_head(folder.name, results), f"Everything: [{place}]({place}).", "", *_aims(results), *parts]
    else:
        parts = ["```sh", COMMAND, "```", "", *_head(folder.name, results), *_aims(results)]
    return "\n".join([BEGIN, "", *parts, END])


def _report(day: str, results: Results) -> Iterator[str]:
    yield from (f"# Measured {day}", "")
    yield from _head(day, results)
    yield from _aims(results)
    yield from _tables(results)


def _head(day: str, results: Results) -> Iterator[str]:
    told = results.get("machine", {})
    yield (
        f"Measured on {day}: {told.get('cores', '?')} cores, one for the gateway and one for load, endpoint and store;"
        f" Python {told.get('python', '?')}, {_builds(results)}. Medians of the rounds; compare within one run only."
    )
    yield ""


def _builds(results: Results) -> str:
    """What was measured; the parts by name where they were not all of the same build."""
    parts: dict[str, list[str]] = {}
    for name, part in results.items():
        if name != "machine":
            build = f"commit {part.get('commit', '?')}, {'' if part.get('compiled') else 'not '}compiled"
            parts.setdefault(build, []).append(name)
    if len(parts) == 1:
        return next(iter(parts))
    if not parts:
        return "nothing measured"
    return "; ".join(f"{', '.join(names)}: {build}" for build, names in parts.items())


def _aims(results: Results) -> Iterator[str]:
    rows = [
        [
            aim.title,
            aim.bound(aim.must),
            "" if aim.best == aim.must else aim.bound(aim.best),
            aim.written(results),
            aim.verdict(results).value,
        ]
        for aim in AIMS
    ]
    yield from _table(["figure", "must", "go for", "measured", "met"], rows)


def _tables(results: Results) -> Iterator[str]:
    yield from _race(results)
    yield from _scale_and_processes(results)
    yield from _streams(results)
    yield from _tls(results)
    yield from _http2(results)
    yield from _soak(results)


def _race(results: Results) -> Iterator[str]:
    for scenario, title in _SCENARIOS.items():
        own, rows = figures.race(results, "tiergate", scenario, "cpu_us"), []
        for peer in _PEERS:
            found = [figures.race(results, peer, scenario, field) for field in ("cpu_us", "p50", "ttft_p50", "rss")]
            cpu, p50, ttft, memory = found
            if cpu is not None and own:
                cells = [
                    f"{cpu:,.0f}",
                    f"{cpu / own:.2f}{TIMES}",
                    _number(p50, 1),
                    _number(ttft, 1),
                    _number(memory, 0),
                ]
                rows.append([peer, *cells])
        if rows:
            yield from (f"**{title}**", "")
            yield from _table(["gateway", "CPU µs each", "against Tiergate", "p50 ms", "TTFT p50 ms", "RSS MiB"], rows)


def _scale_and_processes(results: Results) -> Iterator[str]:
    if "scale" in results:
        part = results["scale"]
        yield from ("**Size of the installation, and processes**", "")
        yield f"1 key and 2 tiers: {part['small_us']:.0f} µs per request; 10,000 and 200: {part['large_us']:.0f} µs."
    if "processes" in results:
        part = results["processes"]
        share = part["rows"][0]["share"]
        yield (
            f"Each process limited to {share:.0%} of a core: one serves {part['one_rps']:,.0f} requests per second,"
            f" two {part['two_rps']:,.0f}. Without a limit, under one load, {part['one_cpu_us']:.0f} and"
            f" {part['two_cpu_us']:.0f} µs per request."
        )
    if "scale" in results or "processes" in results:
        yield ""


def _streams(results: Results) -> Iterator[str]:
    if "streams" not in results:
        return
    part = results["streams"]
    yield from (f"**{part['streams']:,} slow streams at once, {part['tokens']} tokens, one each second**", "")
    rows = []
    for side, name in (("direct", "from the endpoint itself"), ("through", "through the gateway")):
        it = part[side]
        delays = [f"{it[f'delay_{point}_ms']:.1f}" for point in ("p50", "p99", "max")]
        rows.append([name, f"{it['complete']:,}", f"{it['batched']:,}", *delays])
    yield from _table(["streams", "complete", "tokens batched", "late p50 ms", "p99", "max"], rows)
    yield (
        f"Resident memory before, with all open, after: {part['rss_before_kib'] / 1024:.0f},"
        f" {part['rss_open_kib'] / 1024:.0f}, {part['rss_after_kib'] / 1024:.0f} MiB;"
        f" {part['cpu_us_per_event']:.0f} µs of CPU per token."
    )
    yield ""


def _tls(results: Results) -> Iterator[str]:
    if "tls" not in results:
        return
    part = results["tls"]
    yield from ("**TLS to the endpoint**", "")
    rows = [[f"{title}, plain", f"{part[load]['plain']:,.0f}"] for load, title in _KEPT]
    rows += [[f"{title}, TLS 1.3", f"{part[load]['tls']:,.0f}"] for load, title in _KEPT]
    for door, cost in part["new_connection_us"].items():
        shares = [row["resumed_share"] for row in part["rows"] if row["door"] == door and "resumed_share" in row]
        resumed = f" ({min(shares):.0%} resumed)" if shares else ""
        rows.append([f"each new connection adds, {_DOORS[door]}{resumed}", f"{cost:,.0f}"])
    yield from _table(["call", "CPU µs"], rows)


_KEPT = (("json_us", "JSON on kept connections"), ("stream_us", "SSE stream on kept connections"))
_DOORS = {
    "new-plain": "plain",
    "new-tls13-full": "TLS 1.3, whole handshake",
    "new-tls13-resumed": "TLS 1.3, session resumed",
    "new-tls12-full": "TLS 1.2, whole handshake",
    "new-tls12-resumed": "TLS 1.2, session resumed",
}


def _http2(results: Results) -> Iterator[str]:
    if "http2" not in results:
        return
    part = results["http2"]
    yield from ("**The client's CPU µs per request, over TLS**", "")
    rows = [[client, f"{part['json'][client]:,.0f}", f"{part['stream'][client]:,.0f}"] for client in part["json"]]
    yield from _table(["client", "JSON", "SSE stream"], rows)


def _soak(results: Results) -> Iterator[str]:
    if "soak" not in results:
        return
    part = results["soak"]
    calls = part["calls"]
    yield from (f"**{part['minutes']:g} minutes at 60 % load**", "")
    yield (
        f"{part['rate']:,} calls per second (full load {part['full_rate']:,}), the gateway's core"
        f" {part['gateway_share']:.0%} busy: {calls.get('ok', 0):,} answers whole, {calls.get('left', 0):,} left by the"
        f" client as meant, {calls.get('bad', 0) + calls.get('lost', 0):,} wrong."
    )
    for field, unit in (("rss_kib_per_minute", "KiB of resident memory"), ("tasks_per_minute", "open tasks")):
        judged = part[field]
        if judged is None:
            yield f"Growth of {unit}: not sampled."
        else:
            word = "flat" if judged["flat"] else "**not flat**"
            yield f"Growth of {unit}: {judged['slope']:+.2f} per minute (standard error {judged['error']:.2f}): {word}."
    yield ""


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (columns, ["---"] * len(columns), *rows):
        yield "| " + " | ".join(cells) + " |"
    yield ""
