import pytest
from starlette.datastructures import QueryParams

from deploy.emulator.control_plane.parameters import integer, matching, moment, word, words
from deploy.emulator.control_plane.problems import Problem


def read_all(query: QueryParams) -> None:
    """Read one parameter of each kind."""
    integer(query, "n", least=1, most=7)
    word(query, "w", ("a", "b"))
    words(query, "ws", ("a", "b"))
    matching(query, "m", "^[a-z]$")
    matching(query, "one", "^[a-z]$", several=False)
    moment(query.get("t"), "t")


def test_what_is_left_out_is_none() -> None:
    query = QueryParams("")
    assert integer(query, "n", least=1) is None
    assert word(query, "w", ("a",)) is None
    assert words(query, "w", ("a",)) is None
    assert matching(query, "m", ".") is None
    assert moment(None, "t") is None


def test_what_fits_is_read() -> None:
    query = QueryParams("n=7&w=a&ws=a,b&m=12.8,13.0&one=a,b&t=2026-11-22T12:00:00Z")
    assert integer(query, "n", least=1, most=7) == 7
    assert word(query, "w", ("a", "b")) == "a"
    assert words(query, "ws", ("a", "b")) == ("a", "b")
    assert matching(query, "m", r"^\d+\.\d+$") == ("12.8", "13.0")
    assert matching(query, "one", "a,b", several=False) == ("a,b",)
    assert moment(query["t"], "t") == 1_795_348_800


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n=0", "query.n: minimum: got 0, want 1"),
        ("n=8", "query.n: maximum: got 8, want 7"),
        ("n=x", "query.n: got string, want integer"),
        ("w=c", "query.w: value must be one of 'a', 'b'"),
        ("ws=a,c", "query.ws[1]: value must be one of 'a', 'b'"),
        ("m=a,1", "query.m[1]: '1' does not match pattern '^[a-z]$'"),
        ("one=1", "query.one: '1' does not match pattern '^[a-z]$'"),
        ("t=soon", "query.t: 'soon' is not valid date-time"),
    ],
)
def test_what_does_not_fit_is_a_422_that_names_it(text: str, said: str) -> None:
    with pytest.raises(Problem) as caught:
        read_all(QueryParams(text))
    assert (caught.value.status, caught.value.errors) == (422, (said,))
