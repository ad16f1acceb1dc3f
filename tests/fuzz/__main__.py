"""``python -m tests.fuzz TARGET --seconds N``: a coverage-guided fuzzer on one target, which stops by itself.

It begins with the kept corpus and leaves it as it is; what it finds new goes to ``--found``, and so do inputs that
break a promise, as ``crash-…``: keep those in the corpus once they are mended. Needs atheris, which is there for
Python 3.11 (``make fuzz`` installs it).
"""

import argparse
import sys
from pathlib import Path

INPUT_BYTES_MAX = 4096
INPUT_SECONDS_MAX = 10
MEMORY_MEGABYTES_MAX = 1024
FOLLOWED = ["gateway", "tiers"]
"""The packages whose branches guide the fuzzer."""


def main() -> None:
    """Fuzz until the time is over, or an input breaks a promise: then with a status other than 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--found", type=Path, default=Path("dist/fuzz"))
    given = parser.parse_args()
    import atheris  # noqa: PLC0415 - only this command needs it

    with atheris.instrument_imports(include=FOLLOWED):
        from tests.fuzz.targets import CORPUS, TARGETS  # noqa: PLC0415 - instrumented while they are imported
    found = given.found / given.target
    found.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": given.seconds,
        "max_len": INPUT_BYTES_MAX,
        "timeout": INPUT_SECONDS_MAX,
        "rss_limit_mb": MEMORY_MEGABYTES_MAX,
        "artifact_prefix": f"{found}/",
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], str(found), str(CORPUS / given.target), *arguments], TARGETS[given.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
