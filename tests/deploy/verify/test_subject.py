"""What an endpoint is asked."""

from deploy.verify.subject import Subject, chat, streamed, with_schema, with_tool


def test_openais_api_is_below_a_queue_and_at_a_balancer() -> None:
    queue = Subject(key="a/0", id="x", type="QUEUE", url="https://api.runpod.ai/v2/x", model="m")
    balanced = Subject(key="a/0", id="x", type="LOAD_BALANCER", url="https://x.api.runpod.ai/v1", model="m")
    assert queue.openai_url == "https://api.runpod.ai/v2/x/openai/v1"
    assert balanced.openai_url == "https://x.api.runpod.ai/v1"


def test_every_question_is_short() -> None:
    for body in (chat("m"), streamed("m"), with_tool("m"), with_schema("m")):
        assert (body["model"], body["max_tokens"]) == ("m", 64)


def test_a_stream_asks_for_its_usage() -> None:
    assert streamed("m")["stream_options"] == {"include_usage": True}


def test_the_model_chooses_its_tools() -> None:
    """As agents have it: a named tool needs no parser, so that would prove nothing."""
    assert with_tool("m")["tool_choice"] == "auto"
