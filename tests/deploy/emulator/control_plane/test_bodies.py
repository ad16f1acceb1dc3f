"""That what bodies accept and refuse is what the document's schemas accept and refuse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deploy.emulator.control_plane.bodies import (
    Body,
    DelegationBody,
    EndpointBody,
    EndpointPatchBody,
    RegistryBody,
    SecretBody,
    SecretPatchBody,
    TemplateBody,
    TemplatePatchBody,
    VolumeBody,
    VolumePatchBody,
)
from tests.deploy.emulator.control_plane.document import document, needs_document

SHAPES: dict[type[Body], tuple[str, str]] = {
    EndpointBody: ("POST", "/v2/serverless"),
    EndpointPatchBody: ("PATCH", "/v2/serverless/x"),
    TemplateBody: ("POST", "/v2/templates"),
    TemplatePatchBody: ("PATCH", "/v2/templates/x"),
    VolumeBody: ("POST", "/v2/network-volumes"),
    VolumePatchBody: ("PATCH", "/v2/network-volumes/x"),
    RegistryBody: ("POST", "/v2/registries"),
    DelegationBody: ("POST", "/v2/registries/delegations"),
}
ODD = st.one_of(st.none(), st.booleans(), st.integers(-2, 5000), st.text(max_size=3), st.just([]), st.just({}))
TEXT = st.one_of(st.text(max_size=8), ODD)
VERSIONS = st.one_of(st.lists(st.sampled_from(["12.8", "13", "13.0", "x"]), max_size=2), ODD)
SCALING = st.one_of(
    ODD,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["QUEUE_DELAY", "REQUEST_COUNT", "X"])},
        optional={"queueDelay": st.sampled_from([0.4, 0.5, 4, "4"]), "requestCount": st.sampled_from([0, 1, 4, None])},
    ),
)
GPU = st.one_of(
    ODD,
    st.fixed_dictionaries(
        {},
        optional={
            "pools": st.one_of(st.lists(st.sampled_from(["ADA_24", "AMPERE_80"]), max_size=2), ODD),
            "excludedTypes": st.lists(st.sampled_from(["NVIDIA L40", " NVIDIA L4", "-x", ""]), max_size=2),
            "count": ODD,
            "allowedCudaVersions": VERSIONS,
            "minCudaVersion": st.sampled_from(["", "13.0", "13", None]),
        },
    ),
)
CPU = st.lists(
    st.fixed_dictionaries({}, optional={"id": TEXT, "vcpuCount": st.sampled_from([1, 2, 3, "2"])}), max_size=2
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": TEXT,
    "image": TEXT,
    "args": TEXT,
    "disk": ODD,
    "ports": st.one_of(st.lists(TEXT, max_size=2), ODD),
    "env": st.one_of(st.dictionaries(st.text(max_size=2), TEXT, max_size=2), ODD),
    "registry": ODD,
    "type": st.sampled_from(["QUEUE", "LOAD_BALANCER", "STANDARD", "HIGH_PERFORMANCE", None, 1]),
    "scaling": SCALING,
    "gpu": GPU,
    "cpu": CPU,
    "workers": st.one_of(
        ODD, st.fixed_dictionaries({}, optional={"min": ODD, "max": ODD, "idleTimeout": st.integers(0, 3601)})
    ),
    "timeout": ODD,
    "flashboot": st.sampled_from(["OFF", "FLASHBOOT", "ON", None]),
    "dataCenterIds": st.one_of(st.lists(TEXT, max_size=1), ODD),
    "networkVolumes": ODD,
    "templateId": TEXT,
    "allowedCudaVersions": VERSIONS,
    "category": st.sampled_from(["NVIDIA", "AMD", "CPU", "X", None]),
    "mounts": st.sampled_from(
        [{}, None, {"persistent": None}, {"network": []}]
        + [{"persistent": {"size": size, "path": "/w"}} for size in (9, 10)]
    ),
    "public": ODD,
    "startSsh": ODD,
    "size": st.sampled_from([9, 10, 4096, 4097, "10"]),
    "dataCenter": TEXT,
    "username": TEXT,
    "password": TEXT,
    "resource": TEXT,
    "bogus": ODD,
}  # fmt: skip


def accepts(shape: type[Body], body: object) -> bool:
    try:
        shape.model_validate(body)
    except ValidationError:
        return False
    return True


@needs_document
@given(data=st.data())
def test_a_body_is_accepted_if_and_only_if_the_document_accepts_it(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(list(SHAPES)))
    own = {field.alias or name for name, field in shape.model_fields.items()}
    names = data.draw(st.sets(st.sampled_from([*sorted(own & set(FIELDS)), "bogus"]), max_size=5))
    good = {"name": "n", "type": "QUEUE", "image": "i", "scaling": {"type": "REQUEST_COUNT", "requestCount": 1}} | {
        "size": 10, "dataCenter": "EU-RO-1", "username": "u", "password": "p", "resource": "r"
    }  # fmt: skip
    if shape is VolumeBody:
        good["type"] = "STANDARD"
    required = {field.alias or name for name, field in shape.model_fields.items() if field.is_required()}
    start = {name: value for name, value in good.items() if name in required | {"image"} & own}
    body = start | {name: data.draw(FIELDS[name]) for name in names}
    if shape is EndpointBody and body.get("type") == "LOAD_BALANCER":
        body["scaling"] = good["scaling"]  # a rule of its own, not of the shape
    assert accepts(shape, body) == document().allows_body(*SHAPES[shape], body), body


@pytest.mark.parametrize("name", ["", "1a", "a b", "x" * 192])
def test_a_secrets_name_is_short_and_plain(name: str) -> None:
    assert not accepts(SecretBody, {"name": name, "value": "v"})
    assert accepts(SecretBody, {"name": "_a.b-c/D1", "value": "v", "description": "d"})


def test_an_update_of_nothing_is_refused() -> None:
    assert not accepts(SecretPatchBody, {})
    assert not accepts(VolumePatchBody, {})
    assert accepts(EndpointPatchBody, {})
