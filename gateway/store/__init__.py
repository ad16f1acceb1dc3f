"""The store that keeps budgets, slots and records: Valkey or Redis elsewhere, or a Valkey that the gateway
runs.

``opening`` turns the tier map's ``store`` into a connected client; ``embedded`` starts, supervises and stops
the gateway's own server; ``lock`` keeps two gateways from running servers over one data directory.
"""

from gateway.store.opening import Store, open_store

__all__ = ["Store", "open_store"]
