"""A project's name makes all its names, or is refused with what to do instead."""

import pytest

from orchestrator.errors import ProjectRefused
from orchestrator.scaffold.names import NAME_CHARACTERS_MAX, ProjectNames


@pytest.mark.parametrize(
    ("name", "package", "flow"),
    [
        ("support-desk", "support_desk", "SupportDeskFlow"),
        ("Research", "research", "ResearchFlow"),
        ("triage_2-flow", "triage_2_flow", "Triage2Flow"),
        ("flow", "flow", "FlowFlow"),
    ],
)
def test_a_name_makes_a_folder_a_package_and_a_class(name: str, package: str, flow: str) -> None:
    assert ProjectNames.of(name) == ProjectNames(project=name, package=package, flow=flow)


@pytest.mark.parametrize(
    "name",
    ["", "3d", "a b", "../up", "a/b", "-a", "a-", "a--b", "straße", "a.b", "a\n", "x" * (NAME_CHARACTERS_MAX + 1)],
)
def test_a_name_that_no_package_can_have_is_refused_with_the_form(name: str) -> None:
    with pytest.raises(ProjectRefused, match="letters and digits"):
        ProjectNames.of(name)


@pytest.mark.parametrize("name", ["gateway", "Tests", "json", "class", "crewai", "yaml"])
def test_a_name_that_would_hide_another_package_is_refused_with_another(name: str) -> None:
    with pytest.raises(ProjectRefused, match=f"Try '{name}-flow'"):
        ProjectNames.of(name)
