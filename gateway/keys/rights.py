"""What a key may pass on to the keys that it makes: no more than it has."""

from gateway.errors import KeyExceedsMaker
from gateway.keys.virtual import VirtualKey


def check_no_more(new: VirtualKey, maker: VirtualKey) -> None:
    """``new`` may do nothing that ``maker`` may not.

    What it spends is charged to the maker's budgets and limits too, so those hold for both together; a budget of its
    own may only be narrower than that, whatever it says.

    Raises:
        KeyExceedsMaker: It may more.
    """
    if not maker.may_make_keys:
        raise KeyExceedsMaker(f"The key {maker.name!r} may not make keys.")
    if new.team != maker.team:
        raise KeyExceedsMaker(f"It must be of its maker's team, {maker.team!r}.", param="team")
    if maker.tiers is not None and (new.tiers is None or not set(new.tiers) <= set(maker.tiers)):
        raise KeyExceedsMaker(f"Its tiers must be among {', '.join(maker.tiers)}.", param="tiers")
    if maker.agents is not None and (new.agents is None or not all(_within(each, maker.agents) for each in new.agents)):
        raise KeyExceedsMaker(f"Its agents must be among {', '.join(maker.agents)}.", param="agents")
    if maker.expires_unix is not None and (new.expires_unix is None or new.expires_unix > maker.expires_unix):
        raise KeyExceedsMaker("It must not be taken for longer than its maker is.", param="expires")


def _within(glob: str, allowed: tuple[str, ...]) -> bool:
    """Whether whatever ``glob`` matches is surely matched by one of ``allowed``: equal, or a prefix's end is wider."""
    return any(
        glob == each or (each.endswith("*") and not set(each[:-1]) & set("*?[") and glob.startswith(each[:-1]))
        for each in allowed
    )
