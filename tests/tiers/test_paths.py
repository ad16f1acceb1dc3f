from tiers.paths import ANY, field_name, select

DATA = {"tiers": {"a": {"fallback": ["b", "c"]}, "b": 3, "c": {"fallback": "b"}}}


def test_a_path_reads_as_operators_write_it() -> None:
    assert field_name(("tiers", "a", "endpoints", 0, "url")) == "tiers.a.endpoints[0].url"
    assert field_name(()) == ""
    assert field_name(("a\nb",)) == "'a\\nb'"


def test_a_pattern_finds_what_has_its_shape_and_skips_the_rest() -> None:
    assert list(select(DATA, "tiers", ANY, "fallback", ANY)) == [
        (("tiers", "a", "fallback", 0), "b"),
        (("tiers", "a", "fallback", 1), "c"),
    ]
    assert list(select(DATA, "routes", ANY)) == []
    assert list(select(3)) == [((), 3)]
