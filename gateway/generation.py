"""What depends on the tier map, as one piece: a *generation*. A new tier map is served by putting another in its place.

A request takes its generation at its start, with the pipeline, and keeps it to its end: the caller's rights, the route,
the budgets, the queue it waits in and the endpoints are all of one tier map. What outlives generations - the settler's
queue, the ledger, records, series, the ways to endpoints - is the ``Workshop``'s, which makes them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.admit import Admission
from gateway.alerts.webhook import Named, webhooks_of
from gateway.authenticate import Authenticator, VirtualKeys, digest
from gateway.budget.ledger import Ledger
from gateway.checked_map import CheckedMap, MapRejected
from gateway.exchange import Caller, Clock
from gateway.extension import Extensions
from gateway.forward import Forwarder
from gateway.hold import Hold
from gateway.observe import Observer
from gateway.pipeline import Pipeline
from gateway.relay import Relay
from gateway.route import Router
from gateway.served import ServedMap
from gateway.settle import Settler
from gateway.upstream.fleet import Fleet
from gateway.upstream.health import Report
from gateway.upstream.transports import MakeTransport
from gateway.upstream.warmths import Warmths
from gateway.upstream.ways import Lease, Ways
from tiers.tiermap import SecretReference, TierMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One tier map in service, and all that was made of it."""

    served: ServedMap
    tier_map: TierMap
    authenticate: Authenticator
    clock: Clock
    route: Router
    admit: Admission
    fleet: Fleet
    pipeline: Pipeline
    webhooks: Mapping[Named, str] = field(repr=False)
    """Where alerts of budgets go to."""
    ways: Lease = field(repr=False)
    """Closed once its last request has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What all generations share, and how one is made of a tier map."""

    ledger: Ledger
    settler: Settler
    relay: Relay
    observe: Observer
    clock: Clock
    report: Report
    request_ids: Callable[[], str]
    body_bytes_max: int
    ways: Ways
    transports: MakeTransport
    warmths: Warmths
    hold: Hold
    extensions: Extensions
    virtual_keys: VirtualKeys | None = None
    process: str = ""
    """This process's name, no other's."""

    def make(self, checked: CheckedMap, served: ServedMap, before: Generation | None = None) -> Generation:
        """A generation for ``checked``. May run in a thread of its own; its only I/O is to read CA certificates.

        What is known of the condition of endpoints is taken over from ``before``.

        Raises:
            MapRejected: An endpoint's URL is not one that can be called.
        """
        tier_map, lease = checked.tier_map, self.ways.lease()
        try:
            fleet = Fleet.of(
                tier_map,
                connect=lambda endpoint, _: lease.to(endpoint.url, endpoint.timeouts),
                transports=self.transports,
                warmth=self.warmths.of,
                api_key=lambda endpoint: checked.known[endpoint.api_key] if endpoint.api_key is not None else None,
                clock=self.clock,
                report=self.report,
                before=None if before is None else before.fleet,
            )
        except ValueError as error:
            lease.give_back()
            raise MapRejected((str(error),), hash=checked.hash) from error
        authenticate = Authenticator(callers_of(tier_map, checked.known), self.virtual_keys)
        route = Router(tier_map)
        admit = Admission(
            ledger=self.ledger,
            clock=self.clock,
            budgets=tier_map.budgets,
            tiers=tier_map.tiers,
            abandon=self.settler.release_later,
            concurrency=tier_map.concurrency,
            live=self.settler.live,
            allowances=self.settler.allowances,
            note=self.settler.let_in,
            line=self.process,
        )
        return Generation(
            served=served,
            tier_map=tier_map,
            authenticate=authenticate,
            clock=self.clock,
            route=route,
            admit=admit,
            fleet=fleet,
            pipeline=Pipeline(
                authenticate=authenticate,
                route=route,
                admit=admit,
                forward=Forwarder(fleet=fleet, clock=self.clock),
                relay=self.relay,
                settle=self.settler,
                hold=self.hold,
                extensions=self.extensions,
                observe=self.observe,
                clock=self.clock,
                request_ids=self.request_ids,
                body_bytes_max=self.body_bytes_max,
            ),
            webhooks=webhooks_of(tier_map, checked.known),
            ways=lease,
        )


def callers_of(tier_map: TierMap, known: Mapping[SecretReference, str]) -> dict[str, Caller]:
    """Digest of each key → its caller."""
    callers = {}
    for key in tier_map.keys:
        hashed = key.hash if key.secret is None else digest(known[key.secret].encode())
        if hashed is not None:
            callers[hashed] = Caller(
                name=key.name,
                tiers=frozenset(key.tiers) if key.tiers is not None else None,
                team=key.team,
                agents=key.agents,
                expires_unix=key.expires_unix,
            )
    return callers
