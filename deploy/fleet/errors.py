"""What goes wrong with Runpod's control plane, and with what we keep about the fleet.

DeployError
├── ControlPlaneError
│   ├── ControlPlaneUnauthorized   the key is none, or may not do this
│   ├── ControlPlaneMissing        there is no such thing, or it is another account's
│   ├── ControlPlaneRefused        the request as it is will never be served
│   │   ├── ControlPlaneConflict   it contradicts what is there
│   │   ├── ControlPlaneNoCapacity no such machine is free where it is wanted
│   │   └── ControlPlaneQuota      the account may not have so many workers
│   ├── ControlPlaneBusy           we call too often, and the wait is longer than our patience
│   ├── ControlPlaneLost           no answer came: whether the change was made is not known
│   └── ControlPlaneUnreadable     an answer in another form than Runpod's
└── StateUnreadable                the state file is none of ours, or somebody else is using it
"""

from collections.abc import Sequence

from deploy.errors import BadUsage, DeployError


class ControlPlaneError(DeployError):
    """Runpod's control plane did not do what it was asked for.

    Attributes:
        http_status: What it answered with; 0 where no answer came.
        errors: For a body of the wrong form: one line for each thing that is wrong.
    """

    def __init__(self, message: str, *, remedy: str, http_status: int = 0, errors: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *(f"  {line}" for line in errors)]), remedy=remedy)
        self.http_status = http_status
        self.errors = tuple(errors)


class ControlPlaneUnauthorized(ControlPlaneError):
    """401, 403: the key is none, or may not do this."""


class ControlPlaneMissing(ControlPlaneError):
    """404: there is no such thing, or it is another account's."""


class ControlPlaneRefused(ControlPlaneError):
    """400, 409, 422 and other statuses below 500: the request as it is will never be served."""


class ControlPlaneConflict(ControlPlaneRefused):
    """409: it contradicts what is there."""


class ControlPlaneNoCapacity(ControlPlaneRefused):
    """400: no such machine is free where it is wanted."""


class ControlPlaneQuota(ControlPlaneRefused):
    """400: the account may not have so many workers."""


class ControlPlaneBusy(ControlPlaneError):
    """429: we call too often, and the wait is longer than our patience. Nothing was changed."""


class ControlPlaneLost(ControlPlaneError):
    """No answer came, or one that does not tell: whether the change was made is not known."""


class ControlPlaneUnreadable(ControlPlaneError):
    """An answer in another form than Runpod's."""


class StateUnreadable(BadUsage):
    """The state file is none of ours, or somebody else is using it."""
