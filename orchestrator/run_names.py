"""What a run may be called: its name goes into a header, into budgets and into records."""

import re

RUN_NAME = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
_RUN_NAME = re.compile(RUN_NAME)


def is_run_name(text: str) -> bool:
    """Whether a run may have this name."""
    return _RUN_NAME.fullmatch(text) is not None
