"""Tiers are announced to the gateway before a run's steps need them, so that cold endpoints wake meanwhile.

declared   ``@tiers("routing", "reasoning")``: what a step uses, as its author says
ahead      from a Flow's graph: which steps may come next
learned    what steps were seen to use
watch      hears that a step begins, and announces what comes after it in the Flow's graph
announcer  sends announcements from a thread of its own: a run never waits for one, nor fails by one
wake_call  the call itself
announced  all of it together, for everything that runs inside
"""
