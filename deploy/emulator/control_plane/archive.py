"""What bills need and the world forgets: whose deleted endpoints were, and how large volumes were when."""

from dataclasses import dataclass, field

from deploy.emulator.model.account import Account
from deploy.emulator.model.resources import NetworkVolume, VolumeType


@dataclass(slots=True, kw_only=True)
class Storing:
    """A volume of one size for a time; ``ended_at`` is ``None`` while it lasts."""

    volume_id: str
    account_id: str
    type: VolumeType
    size_gb: int
    started_at: float
    ended_at: float | None = None


@dataclass(slots=True)
class Archive:
    """The memory of one emulated Runpod's bills."""

    deleted: dict[str, str] = field(default_factory=dict)
    """A deleted endpoint's id → its account's."""
    _storings: list[Storing] = field(default_factory=list)

    def endpoint_deleted(self, endpoint_id: str, account_id: str) -> None:
        """Remember whose it was."""
        self.deleted[endpoint_id] = account_id

    def volume_changed(self, account: Account, volume: NetworkVolume, now: float) -> None:
        """``volume`` is what it was up to ``now``: another size follows, or nothing."""
        self._storings.append(self._storing(account, volume, ended_at=now))

    def storings(self, account: Account) -> list[Storing]:
        """All that an account's volumes ever were, those that are there last."""
        past = [storing for storing in self._storings if storing.account_id == account.id]
        present = [self._storing(account, volume) for volume in account.resources.volumes.values()]
        return past + present

    def _storing(self, account: Account, volume: NetworkVolume, *, ended_at: float | None = None) -> Storing:
        earlier = (storing.ended_at for storing in self._storings if storing.volume_id == volume.id)
        return Storing(
            volume_id=volume.id,
            account_id=account.id,
            type=volume.type,
            size_gb=volume.size_gb,
            started_at=max((at for at in earlier if at is not None), default=volume.created_at),
            ended_at=ended_at,
        )
