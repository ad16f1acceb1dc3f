"""The store that keeps budgets, slots and records: Valkey or Redis elsewhere, or a Valkey that the gateway
runs.

``opening`` turns the tier map's ``store`` into a redis-py client, for what is seldom or large, and a ``Multiplexed``,
for the commands of requests. ``script`` runs Lua over it, ``line`` is its connection, ``address`` says where that goes
to, ``resp`` is the protocol. ``embedded`` starts, supervises and stops the gateway's own server; ``lock`` keeps two
gateways from running servers over one data directory.
"""

from gateway.store.opening import Store, open_store

__all__ = ["Store", "open_store"]
