"""Alerts: a webhook is called when a budget is spent to a part.

``watch`` looks at the balances beside requests, one process for all, and posts what is due. ``outbox`` keeps in the
store what was noted and is not posted yet, so that it outlives processes. ``notice`` is what is posted, ``webhook``
how.
"""
