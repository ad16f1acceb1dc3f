"""What an endpoint is and what it should be → what has to be sent, and how that is told."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.fleet.answers import DeployedEndpoint
from deploy.fleet.desired import REGISTRY, VOLUME, Desired, served_name
from tiers.worker_names import SECRET

ROLLING = ("image", "args", "env", "gpu", "cpu", "disk", "ports", "registry", "networkVolumes")
"""Fields whose change replaces the workers."""
HIDDEN = "(hidden)"
_SECRETIVE = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|KEY", re.IGNORECASE)
_OWN_VALUES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field before and after, for people."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs."""

    send: Mapping[str, Any]
    """What a PATCH has to hold, with names in place of ids; empty where nothing differs."""
    fields: tuple[FieldChange, ...]

    @property
    def rolls(self) -> bool:
        """Whether workers are replaced for it."""
        return any(field in self.send for field in ROLLING)

    @property
    def regrouped(self) -> bool:
        """Whether the class of GPU changes, or how many a worker has."""
        return any(change.field in {"gpu.pools", "gpu.count", "gpu.excludedTypes"} for change in self.fields)


def replaces(existing: DeployedEndpoint, wanted: Desired, *, served: str = "") -> str:
    """Why the endpoint cannot be changed into what is wanted, and another has to be made; empty where it can.

    ``served`` is the name under which requests are sent to it, where they are.
    """
    if existing.type != wanted.type:
        return f"its type changes from {existing.type} to {wanted.type}"
    if served and served != (then := served_name(wanted.body)):
        # While workers are replaced, each would refuse what is asked under the other's name.
        return f"the name under which it serves its model changes from {served} to {then}"
    family = "GPU" if existing.fields.get("gpu") else "CPU"
    asked = "GPU" if "gpu" in wanted.body else "CPU"
    return f"its workers change from {family} to {asked}" if family != asked else ""


def difference(existing: DeployedEndpoint, wanted: Desired, names: Mapping[str, str]) -> Difference:
    """What differs. ``names`` has ids of logins and volumes by ``registry:NAME`` and ``volume:NAME``."""
    is_now = _comparable(existing, wanted)
    send: dict[str, Any] = {}
    changes: list[FieldChange] = []
    for field, value in wanted.body.items():
        known = resolved({field: value}, names)[field]
        if is_now.get(field) == known:
            continue
        send[field] = value
        changes.extend(_told(field, is_now.get(field), known))
    if "gpu" in send and is_now["gpu"].get("allowedCudaVersions"):
        # One way to say it does not clear the other.
        send["gpu"] = {**send["gpu"], "allowedCudaVersions": []}
    send.pop("type", None)
    return Difference(send=send, fields=tuple(changes))


def fingerprint(existing: DeployedEndpoint, wanted: Desired) -> str:
    """What tells whether the endpoint has been changed since."""
    text = json.dumps([existing.id, _comparable(existing, wanted)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def resolved(body: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The body with ids in place of names; what has no id yet keeps its name."""

    def one(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
        if isinstance(value, str) and value.startswith((REGISTRY, VOLUME)):
            return names.get(value, value)
        return value

    made = dict(body)
    if "registry" in made:
        made["registry"] = one(made["registry"])
    if "networkVolumes" in made:
        made["networkVolumes"] = [one(value) for value in made["networkVolumes"]]
    return made


def _comparable(existing: DeployedEndpoint, wanted: Desired) -> dict[str, Any]:
    """The endpoint in the form of a create call's body, as far as ``wanted`` speaks of it."""
    told = existing.fields
    found = {field: told.get(field) for field in wanted.body}
    for field, empty in (("args", ""), ("env", {}), ("ports", []), ("dataCenterIds", []), ("networkVolumes", [])):
        found[field] = told.get(field) or empty
    if "gpu" in wanted.body:
        found["gpu"] = {name: value for name, value in (told.get("gpu") or {}).items() if value}
    if "cpu" in wanted.body:
        choices = told.get("cpu") or []
        found["cpu"] = [{"id": one.get("id"), "vcpuCount": one.get("vcpuCount")} for one in choices]
    asked = wanted.body["workers"]
    found["workers"] = {name: (told.get("workers") or {}).get(name) for name in asked}
    return found


def _told(field: str, before: Any, after: Any) -> Iterator[FieldChange]:  # noqa: ANN401 - JSON has no narrower type
    if isinstance(after, dict) and isinstance(before, dict):
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield _change(f"{field}.{name}", before.get(name), after.get(name))
    else:
        yield _change(field, before, after)


def _change(field: str, before: Any, after: Any) -> FieldChange:  # noqa: ANN401 - as above
    return FieldChange(field=field, before=shown(field, before), after=shown(field, after))


def shown(field: str, value: Any) -> str:  # noqa: ANN401 - as above
    """A field's value for people; a variable that may hold a secret shows only the name of Runpod's."""
    if value is None:
        return "none"
    if isinstance(value, str) and field.startswith("env."):
        hidden = _SECRETIVE.search(field) and not SECRET.fullmatch(value) and not value.isdecimal()
        text = HIDDEN if hidden else value
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _OWN_VALUES_MAX else f"{text[:_OWN_VALUES_MAX]}…"
