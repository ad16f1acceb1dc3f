"""Durable runs: what is kept of each, and who may write it.

Read ``run.py`` (what a run is) and ``store.py`` (what a store of runs promises) first.
"""
