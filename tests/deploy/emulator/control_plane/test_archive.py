from dataclasses import replace

from deploy.emulator.control_plane.archive import Archive
from deploy.emulator.model.account import Account
from deploy.emulator.model.resources import NetworkVolume

VOLUME = NetworkVolume(id="v", name="v", size_gb=10, data_center_id="EU-RO-1", created_at=100.0)


def test_a_volumes_sizes_follow_each_other_without_a_gap() -> None:
    archive, account = Archive(), Account(id="a", keys=set())
    archive.volume_changed(account, VOLUME, 200.0)
    account.resources.volumes["v"] = larger = replace(VOLUME, size_gb=20)
    spans = [(one.size_gb, one.started_at, one.ended_at) for one in archive.storings(account)]
    assert spans == [(10, 100.0, 200.0), (20, 200.0, None)]
    archive.volume_changed(account, larger, 300.0)
    del account.resources.volumes["v"]
    spans = [(one.size_gb, one.started_at, one.ended_at) for one in archive.storings(account)]
    assert spans == [(10, 100.0, 200.0), (20, 200.0, 300.0)]


def test_each_account_has_its_own() -> None:
    archive = Archive()
    archive.volume_changed(Account(id="a", keys=set()), VOLUME, 200.0)
    assert archive.storings(Account(id="b", keys=set())) == []


def test_a_deleted_endpoint_keeps_its_account() -> None:
    archive = Archive()
    archive.endpoint_deleted("e", "a")
    assert archive.deleted == {"e": "a"}
