"""LiteLLM's SDK, loaded where it is asked for."""

import logging
import subprocess
import sys
from typing import Any, cast

import pytest

from gateway.upstream.litellm_package import LiteLlmMissing, load_package, provider_of
from tests.gateway.upstream.litellm_installed import need_litellm

FRESH = """
import os, sys
import gateway.app, gateway.upstream.transports
assert not [name for name in sys.modules if name.partition(".")[0] in ("litellm", "openai")]
from gateway.upstream.litellm_package import load_package
package = load_package()
assert package.get_model_info("gpt-4o-mini")
assert not package.callbacks and not package.success_callback
print(os.environ.get("FROM_A_FILE", "nothing read"))
"""


def test_without_it_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(LiteLlmMissing, match="not installed"):
        load_package()


def test_what_tiergate_does_itself_is_off() -> None:
    need_litellm()
    package = cast("Any", load_package())
    assert (package.num_retries, package.telemetry, package.cache, package.suppress_debug_info) == (
        0,
        False,
        None,
        True,
    )
    assert not logging.getLogger("LiteLLM").propagate


def test_a_model_names_its_provider() -> None:
    need_litellm()
    package = load_package()
    assert provider_of(package, "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo") == "together_ai"
    with pytest.raises(ValueError, match="knows no provider of the model 'nobodys-model'"):
        provider_of(package, "nobodys-model")


def test_it_is_loaded_only_when_asked_for_and_reads_no_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In a process of its own: the gateway's modules load nothing of it, and a ``.env`` beside it is not read."""
    need_litellm()
    folder = tmp_path_factory.mktemp("work")
    (folder / ".env").write_text("FROM_A_FILE=read\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", FRESH], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("nothing read", "")
