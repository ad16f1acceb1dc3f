"""The rules of the emulated Runpod: values and state machines. No I/O, no clock: ``now`` is a parameter.

    world       all accounts' state; the one object that everything else works with
    step        one endpoint's way through time: idleness, workforce, queue, scaling
    endpoint    one endpoint: its queue, its workers, its releases
    worker | job    state machines as tables
    bill        who ran how long, in which state, for how much
    config | catalogue | cold_start | faults | limits | release | resources | account    values

Begin with ``world``.
"""
