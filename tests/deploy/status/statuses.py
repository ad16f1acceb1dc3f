"""A fleet that has drifted, is rolled out, and is about to be paused."""

from deploy.fleet.answers import Rollout, WorkerSummary
from deploy.fleet.difference import FieldChange
from deploy.status.fleet_status import EndpointStatus, FleetStatus

DRIFTED = EndpointStatus(
    key="routing/0",
    name="acme-routing-0",
    id="e1",
    change="update",
    drift=(FieldChange(field="workers.max", before="0", after="3"),),
    workers=WorkerSummary(running=1, unhealthy=2, total=3),
    workers_max=3,
    version=4,
    rollout=Rollout.model_validate({"inProgress": True, "workersOnLatest": 1, "workersTotal": 3}),
    day_usd=1.5,
    warning="no request for 6.2 days",
)
MISSING = EndpointStatus(key="orchestrator", name="acme-orchestrator", change="create")
GOOD = EndpointStatus(key="reasoning/0", name="acme-reasoning-0", id="e2", workers_max=1, rollout=Rollout())
STATUS = FleetStatus(fleet="acme", endpoints=(MISSING, GOOD, DRIFTED), notes=("an apply was stopped",))
