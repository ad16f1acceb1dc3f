from deploy.emulator.control_plane.public_templates import PUBLIC, readable
from deploy.emulator.model.resources import Resources, Template


def test_an_account_reads_its_own_and_the_public_ones() -> None:
    own = Template(id="t", name="t", image="i")
    assert set(readable(Resources(templates={"t": own}))) == {"t", *PUBLIC}


def test_there_is_one_of_each_kind() -> None:
    assert {template.serverless for template in PUBLIC.values()} == {True, False}
