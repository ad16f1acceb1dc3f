"""The page of the workers' variables is what the code has."""

from tests.docs.markdown import Page, code_in, tables
from tiers.vllm_environment import DISK_BASE_GB, DISK_FACTOR, DISK_STEP_GB, DISK_UNKNOWN_GB
from tiers.worker_names import COMPILED, FLAGS, REFUSED, SETTINGS, SWITCHES

PAGE = Page("docs/reference/worker-environment.md")


def test_every_variable_has_a_row_with_its_field_and_its_flag() -> None:
    [table] = tables(PAGE.section("Variables"))
    names = [code_in(cell)[0] for cell in table.column("variable")]
    assert names == [*FLAGS, *SWITCHES, *SETTINGS]
    assert table.column("made of") == [COMPILED.get(name, "env") for name in names]
    flags = {**FLAGS, **{name: name.lower().replace("_", "-") for name in SWITCHES}}
    assert table.column("flag") == [f"`{flags[name]}`" if name in flags else "none" for name in names]


def test_every_refused_variable_has_a_row_with_the_right_one() -> None:
    [table] = tables(PAGE.section("Refused"))
    assert [(code_in(row[0])[0], row[1], row[2]) for row in table.rows] == [
        (name, why, right) for name, (why, right) in REFUSED.items()
    ]


def test_the_disk_is_worked_out_as_told() -> None:
    told = PAGE.section("Disk")
    for figure in (f"{DISK_BASE_GB} GB", f"{DISK_FACTOR} times", f"{DISK_STEP_GB} GB", f"{DISK_UNKNOWN_GB} GB"):
        assert figure in told
