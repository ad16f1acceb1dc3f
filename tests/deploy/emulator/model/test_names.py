"""Ids."""

import re
from random import Random

from deploy.emulator.model.names import new_id, new_job_id


def test_ids_look_like_runpods() -> None:
    assert re.fullmatch(r"[a-z0-9]{14}", new_id(Random(1)))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-u1", new_job_id(Random(1), sync=False))
    assert new_job_id(Random(1), sync=True).startswith("sync-")


def test_the_same_dice_make_the_same_ids() -> None:
    assert new_id(Random(7)) == new_id(Random(7))
