from gateway.wire.affinity import PREFIX_BYTES, prefix, session
from gateway.wire.identity import NOBODY, Identity


def test_a_session_is_a_run_or_else_an_agent_of_one_caller() -> None:
    """Two callers' agents of one name have nothing in common; who says nothing belongs nowhere."""
    assert session(Identity(run="r1", agent="writer"), "demo") == session(Identity(run="r1"), "demo")
    assert session(Identity(agent="writer"), "demo") != session(Identity(agent="writer"), "other")
    assert session(Identity(agent="a"), "demo") != session(Identity(agent="b"), "demo")
    assert session(NOBODY, "demo") is None


def test_a_prefix_is_the_prompts_beginning_wherever_it_stands() -> None:
    """The model's name and settings before it do not count, nor what comes after a kibibyte."""
    prompt = b'"messages":[{"role":"system","content":"' + b"x" * PREFIX_BYTES
    assert prefix(b'{"model":"a",' + prompt + b'one"}]}') == prefix(b'{"seed":1,' + prompt + b'two"}]}')
    assert len(prefix(prompt)) == PREFIX_BYTES
    assert prefix(b'{"model":"a","prompt":"p"}') == b'"prompt":"p"}'
    assert prefix(b'{"model":"a","input":"i"}') == b'"input":"i"}'
    assert prefix(b'{"model":"a"}') == b'{"model":"a"}'
