"""Runpod on one machine: its control plane, its data plane, workers that start cold, bills, and faults on demand.

    admin | control_plane | data_plane     HTTP: what an operator, a deploy tool and a caller see of Runpod
    engines                                what stands behind a worker: a token generator, or a child process
    clock                                  time that runs faster than the machine's, or that a test moves
    model                                  every rule of it, as values and plain state machines: no I/O, no clock

Read ``model/world.py`` first; ``app.py`` puts the parts together.
"""
