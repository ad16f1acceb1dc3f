from tiers.worker_moment import Counted


def test_whoever_is_up_is_billed() -> None:
    assert Counted(awake=2, starting=1).billed == 3
