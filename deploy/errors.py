"""Why a deployment could not go on: what happened, and what the person at the terminal can do about it.

DeployError
├── BadUsage            what was asked for cannot be done as asked; nothing was started
│   ├── PortsTaken      something else listens where this system has to
│   └── ProgramMissing  a program or package that has to be started is not installed
├── ProcessDied         a child ended by itself
├── NotReady            a child did not get ready in time
├── GatewayUnreadable   the gateway's answer about its own records cannot be used
└── EmulatorRefused     the emulator did not make or tell what it was asked for
"""

from typing import ClassVar


class DeployError(Exception):
    """Something went wrong and nothing below could mend it.

    Attributes:
        message: What happened, in one or more lines. Never holds a secret.
        remedy: What to do about it.
        log_tail: The last lines of the log that shows it; empty where no log does.
    """

    status: ClassVar[int] = 1
    """The command's exit status."""

    def __init__(self, message: str, *, remedy: str, log_tail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.log_tail = log_tail


class BadUsage(DeployError):
    """What was asked for cannot be done as asked; nothing was started."""

    status = 2


class PortsTaken(BadUsage):
    """Something else listens where this system has to."""


class ProgramMissing(BadUsage):
    """A program or package that has to be started is not installed."""


class ProcessDied(DeployError):
    """A child process ended by itself while it was needed."""


class NotReady(DeployError):
    """A child process runs but did not get ready in time."""


class GatewayUnreadable(DeployError):
    """The gateway did not answer a question about its own records, or not in the agreed form."""


class EmulatorRefused(DeployError):
    """The emulator did not make or tell what it was asked for."""
