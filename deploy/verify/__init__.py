"""``tiergate-deploy verify``: whether a deployed fleet serves, asked in the order in which operators look for a fault.

    control plane → each endpoint: there, a worker, an answer, a stream, tools, JSON → gateway → orchestrator → one Flow

Inference first and orchestration after: what fails below is not looked for above. Every failure names its layer, shows
what was seen, and says what to do.
"""
