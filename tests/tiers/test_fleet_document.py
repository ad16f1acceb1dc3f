"""The form of what is deployed."""

import pytest
from pydantic import BaseModel

from tests.tiers.samples import changed, problems
from tiers import fleet_document
from tiers.fleet import App, Deployment, Fleet
from tiers.fleet_document import DeployDocument, FleetDocument, GatewayAppDocument

FORMS = [
    form
    for form in vars(fleet_document).values()
    if isinstance(form, type) and issubclass(form, BaseModel) and form.__module__ == fleet_document.__name__
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_field_says_what_it_is_and_how_it_looks(form: type[BaseModel]) -> None:
    """Editors show the description; problems show the first example."""
    for field in form.model_fields.values():
        assert field.description
        assert field.examples


def test_what_is_left_out_is_what_the_domain_leaves_out() -> None:
    deploy, fleet, app = DeployDocument(), FleetDocument(), GatewayAppDocument(image="a:1")
    one, other, whole = Deployment.__dataclass_fields__, App.__dataclass_fields__, Fleet()
    assert (deploy.memory_percent, deploy.cuda) == (one["memory_percent"].default, one["cuda_min"].default)
    assert (deploy.start_timeout, deploy.flashboot) == (one["start_seconds"].default, one["flashboot"].default)
    assert (fleet.name, fleet.quota) == (whole.name, whole.quota)
    assert (app.vcpus, app.disk, app.cpu) == tuple(other[name].default for name in ("vcpus", "disk_gb", "cpu"))
    assert (app.port, app.timeout) == (other["port"].default, other["timeout_seconds"].default)


@pytest.mark.parametrize(
    "image", ["ghcr.io/acme/flows:1.4", "localhost:5000/flows:1", "a:1", "a/b:1@sha256:" + "0" * 64]
)
def test_an_image_has_a_tag(image: str) -> None:
    assert GatewayAppDocument(image=image).image == image
    bare = image.partition("@")[0].rpartition(":")[0]
    text = changed("store: embedded", f"fleet: {{gateway: {{image: '{bare}'}}}}")
    assert [problem.field for problem in problems(text)] == ["fleet.gateway.image"]


@pytest.mark.parametrize(
    "fleet",
    [
        "{name: Acme}",
        "{quota: 0}",
        "{gateway: {}}",
        "{gateway: {image: a:1, vcpus: 3}}",
        "{volume: {name: a, size: 5, data_center: EU}}",
        "{secrets: {hf: literal}}",
        "{env: {A: 1}}",
    ],
)
def test_what_is_none_is_refused_at_its_place(fleet: str) -> None:
    found = problems(changed("store: embedded", f"fleet: {fleet}"))
    assert found
    assert all(problem.field.startswith("fleet.") for problem in found)
