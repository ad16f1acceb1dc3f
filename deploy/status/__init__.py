"""``tiergate-deploy status``: what is deployed and how it is, without waking anything.

For each endpoint: what differs from the tier map, its workers by state, how far a roll-out is, what it cost in the last
24 hours, and whether Runpod is about to cut it for want of requests.
"""
