"""The fleet: what the tier map wants of Runpod, what is there, and the way from one to the other.

    tier map ──▶ desired ──┐
    control plane ─────────┼──▶ plan ──▶ plan_text      what would be changed, and what it costs
    state ─────────────────┘      └────▶ apply          the changes, one by one; each leaves its trace in the state

``control_plane`` speaks Runpod's REST v2, ``state`` keeps which endpoints are ours and where they are. Only
``command`` knows of the command line.
"""
