"""The ledger: slots and budgets, taken and given back in one step each.

``ledger`` states the contract; ``memory`` and ``valkey`` fulfil it and pass the tests in ``tests/contract``.
"""
