"""What has to be changed so that Runpod has what the tier map wants: decided from values, nothing is asked or made.

    what is wanted, what is there, what is ours ──▶ changes, sorted as they are to be made

Logins, volumes and secrets first, since endpoints name them; then endpoints that give up workers, those that change,
those that are new, and last those that go. One that cannot become what is wanted has another made in its place, and is
deleted when requests no longer go to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deploy.fleet.answers import DeployedEndpoint
from deploy.fleet.change import Change, Kind, Plan, World
from deploy.fleet.desired import Desired, served_name, url_of
from deploy.fleet.difference import ROLLING, FieldChange, difference, fingerprint, replaces, shown
from deploy.fleet.obstacles import obstacles
from deploy.fleet.prices import volume_day
from deploy.fleet.state import Deployed, FleetState
from tiers.fleet import Fleet

_KINDS: tuple[Kind, ...] = ("registry", "secret", "volume", "endpoint")
_THIRD = 3
_SEVERAL = 2


def make_plan(fleet: Fleet, wanted: Sequence[Desired], world: World, state: FleetState) -> Plan:
    """What has to be done. ``state`` has been ``recovered``."""
    there = {one.id: one for one in world.endpoints}
    ours = {key: one for key, one in state.endpoints.items() if one.id in there}
    changes = [*_resources(fleet, world)]
    for one in wanted:
        deployed = ours.get(one.key)
        changes += [_created(one)] if deployed is None else _changed(there[deployed.id], deployed, one, world.names)
    keys = {one.key for one in wanted}
    gone = [(key, one) for key, one in ours.items() if key not in keys]
    gone += [(_key_of(one, state), one) for one in state.retired.values() if one.id in there]
    changes += [_deleted(key, one, "deletes an endpoint") for key, one in gone]
    lowered = {id(change) for change in changes if _lowers(change, there)}
    changes.sort(key=lambda change: _order(change, lowers=id(change) in lowered))
    workers = _workers(wanted, changes, world, ours)
    volume = 0 if fleet.volume is None else volume_day(fleet.volume.size_gb)
    return Plan(
        fleet=fleet.name,
        changes=tuple(changes),
        obstacles=tuple(obstacles(fleet, wanted, world, state, workers)),
        notes=(*_notes(state, there), *_untold(fleet, world)),
        unsafe=tuple(_too_many(changes, len(ours))),
        hour_max=sum(one.hour_max for one in wanted),
        idle_day=sum(one.idle_day for one in wanted) + volume,
        workers=workers,
        quota=fleet.quota,
    )


def teardown(fleet: str, world: World, state: FleetState) -> Plan:
    """All endpoints of the fleet deleted. Logins, volumes and secrets stay: others may use them."""
    there = {one.id for one in world.endpoints}
    ours = [*state.endpoints.items(), *((_key_of(one, state), one) for one in state.retired.values())]
    changes = sorted(
        (_deleted(key, one, "deletes an endpoint") for key, one in ours if one.id in there),
        key=lambda change: change.label,
    )
    return Plan(fleet=fleet, changes=tuple(changes), notes=("logins, volumes and secrets are left as they are",))


def recovered(state: FleetState, wanted: Sequence[Desired], world: World) -> FleetState:
    """The state with endpoints whose making was begun and whose answer was lost; without retired ones that are gone.

    Before one is made, none of its name is there but ours; so what is there of that name and type since is it.
    """
    there = {one.id for one in world.endpoints}
    state = replace(state, retired={key: one for key, one in state.retired.items() if key in there})
    begun = {} if state.applying is None else state.applying.changes
    for one in wanted:
        if begun.get(f"create endpoint {one.key}") != "begun":
            continue
        found = next((each for each in world.endpoints if _unowned(each, one, state)), None)
        if found is not None:
            url, model = url_of(one.key, one.type, found.url), served_name(one.body)
            deployed = Deployed(id=found.id, name=one.name, type=one.type, url=url, model=model)
            state = state.with_endpoint(one.key, deployed)
    return state


def _unowned(found: DeployedEndpoint, one: Desired, state: FleetState) -> bool:
    return found.bare_name == one.name and found.type == one.type and found.id not in state.ids


def _resources(fleet: Fleet, world: World) -> Iterator[Change]:
    registries = {one.name for one in world.registries}
    login = fleet.registry
    if login is not None and login.name not in registries and login.username is not None:
        yield Change(action="create", kind="registry", key=login.name, name=login.name)
    known = {one.name for one in world.secrets or ()}
    for name in sorted(fleet.secrets):
        if world.secrets is not None and name not in known:
            yield Change(action="create", kind="secret", key=name, name=name)
    if fleet.volume is not None:
        yield from _volume(fleet, world)


def _volume(fleet: Fleet, world: World) -> Iterator[Change]:
    wanted = fleet.volume
    assert wanted is not None  # noqa: S101 - asked before
    found = next((one for one in world.volumes if one.name == wanted.name), None)
    day = volume_day(wanted.size_gb)
    if found is None:
        body = {"name": wanted.name, "size": wanted.size_gb, "dataCenter": wanted.data_center}
        yield Change(action="create", kind="volume", key=wanted.name, name=wanted.name, body=body, idle_day=day)
    elif found.size < wanted.size_gb:
        yield Change(
            action="update",
            kind="volume",
            key=wanted.name,
            name=wanted.name,
            id=found.id,
            body={"size": wanted.size_gb},
            fields=(FieldChange(field="size", before=str(found.size), after=str(wanted.size_gb)),),
            before=str(found.size),
            idle_day=day,
        )


def _created(one: Desired) -> Change:
    fields = tuple(
        FieldChange(field=name, before="none", after=shown(name, value))
        for field_name, whole in one.body.items()
        for name, value in _flat(field_name, whole)
        if name != "name" and value not in ("", None, [])
    )
    return Change(
        action="create",
        kind="endpoint",
        key=one.key,
        name=one.name,
        body=one.body,
        fields=fields,
        hour_max=one.hour_max,
        idle_day=one.idle_day,
    )


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON has no narrower type
    if isinstance(value, Mapping):
        yield from ((f"{name}.{part}", each) for part, each in sorted(value.items()))
    else:
        yield name, value


def _changed(existing: DeployedEndpoint, deployed: Deployed, one: Desired, names: Mapping[str, str]) -> list[Change]:
    why = replaces(existing, one, served=deployed.model)
    if why:
        old = Deployed(id=existing.id, name=existing.bare_name, type=existing.type, url=existing.url)
        return [
            replace(_created(one), unsafe=(f"another endpoint is made in place of {existing.id}: {why}",)),
            _deleted(one.key, old, f"deletes the endpoint that is replaced: {why}"),
        ]
    found = difference(existing, one, names)
    if not found.send:
        return []
    return [
        Change(
            action="update",
            kind="endpoint",
            key=one.key,
            name=one.name,
            id=existing.id,
            body=found.send,
            fields=found.fields,
            before=fingerprint(existing, one),
            unsafe=("the class or number of GPUs changes",) if found.regrouped else (),
            hour_max=one.hour_max,
            idle_day=one.idle_day,
        )
    ]


def _deleted(key: str, one: Deployed, why: str) -> Change:
    return Change(action="delete", kind="endpoint", key=key, name=one.name, id=one.id, unsafe=(why,))


def _key_of(one: Deployed, state: FleetState) -> str:
    """What a retired endpoint was, by its name; its successor has the same."""
    return next((key for key, other in state.endpoints.items() if other.name == one.name), one.name)


def _lowers(change: Change, there: Mapping[str, DeployedEndpoint]) -> bool:
    if change.action != "update" or change.kind != "endpoint" or "workers" not in change.body:
        return False
    return int(change.body["workers"]["max"]) < there[change.id].workers_max


def _order(change: Change, *, lowers: bool) -> tuple[int, int, str]:
    step = {"update": 0 if lowers else 1, "create": 2, "delete": 3}[change.action]
    return (0, _KINDS.index(change.kind), change.label) if change.kind != "endpoint" else (1 + step, 0, change.label)


def _workers(wanted: Sequence[Desired], changes: Sequence[Change], world: World, ours: Mapping[str, Deployed]) -> int:
    """The most that all endpoints of the account may have at any time on the way: what goes, goes last."""
    most = {one.id: one.workers_max for one in world.endpoints}
    replaced = {change.id for change in changes if change.action == "delete"}
    for one in wanted:
        deployed = ours.get(one.key)
        if deployed is not None and deployed.id not in replaced:
            most[deployed.id] = one.workers_max
        else:
            most[f"new {one.key}"] = one.workers_max
    return sum(most.values())


def _notes(state: FleetState, there: Mapping[str, DeployedEndpoint]) -> Iterator[str]:
    for key, one in sorted(state.endpoints.items()):
        if one.id not in there:
            yield f"{key}: {one.name} ({one.id}) is no longer there; somebody else deleted it"
    if state.applying is not None:
        done = [label for label, progress in state.applying.changes.items() if progress == "done"]
        left = [label for label, progress in state.applying.changes.items() if progress != "done"]
        yield (
            f"an apply of plan {state.applying.plan} was stopped; done: {', '.join(done) or 'nothing'};"
            f" left: {', '.join(left) or 'nothing'}"
        )


def _untold(fleet: Fleet, world: World) -> Iterator[str]:
    if world.secrets is None and fleet.secrets:
        names = ", ".join(sorted(fleet.secrets))
        yield f"this account's API does not tell of secrets: see in the console that it has {names}"


def _too_many(changes: Sequence[Change], existing: int) -> Iterator[str]:
    touched = {
        change.id for change in changes if change.kind == "endpoint" and change.action != "create" and _disturbs(change)
    }
    if len(touched) >= _SEVERAL and len(touched) * _THIRD > existing:
        yield f"{len(touched)} of {existing} endpoints get new workers or go: more than a third of the fleet"


def _disturbs(change: Change) -> bool:
    return change.action == "delete" or any(name in change.body for name in ROLLING)
