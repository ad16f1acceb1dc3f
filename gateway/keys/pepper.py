"""The gateway's own secret, which goes into what is kept of virtual keys: made once, where none is given."""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

FILE: Final = "key-pepper"


def pepper_in(directory: Path) -> bytes:
    """The pepper that is kept in ``directory``, made there (mode 0600) where there is none yet.

    Processes that ask at the same time get the same one.

    Raises:
        OSError: It can be neither read nor made.
    """
    file = directory / FILE
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        # mkstemp's mode is 0600; a link fails where another process was faster, and its file counts.
        number, passing = tempfile.mkstemp(dir=directory, prefix=f"{FILE}.")
        with os.fdopen(number, "w", encoding="ascii") as opened:
            opened.write(secrets.token_hex(32))
        try:
            os.link(passing, file)
        except FileExistsError:
            pass
        finally:
            Path(passing).unlink()
    return file.read_bytes().strip()
