"""Templates, registries, volumes, secrets."""

from deploy.emulator.model.resources import Registry, Secret, Template


def test_secret_values_do_not_show() -> None:
    registry = Registry(id="r", name="n", username="someone", password="hidden")
    secret = Secret(id="s", name="n", value="hidden")
    assert "hidden" not in repr((registry, secret))
    assert "someone" not in repr(registry)


def test_ssh_and_jupyter_are_on_by_default() -> None:
    template = Template(id="t", name="n", image="i")
    assert template.start_ssh
    assert template.start_jupyter
