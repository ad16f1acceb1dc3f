"""Virtual keys: kept in the store beside the tier map's, made and revoked while the gateway runs.

``secret`` is what a key looks like and what is kept of it, ``pepper`` the secret of the gateway that goes into that.
``form`` is what is said of a new one, ``virtual`` what is kept, ``rights`` what a maker may pass on. ``cabinet`` keeps
keys and the audit log in the store, one change after the other; ``audit`` chains that log. ``office`` makes the
changes, ``ring`` is each process's copy, which requests ask.
"""
