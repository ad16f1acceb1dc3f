"""Hosting Flows behind a load balancer: what ``orchestrator.app`` is made of.

    flows       the Flows that are hosted            warm_up     what happens before the first run, phase by phase
    flow_loop   the thread in which all runs are     bridge      the store of runs, seen from that thread
    dispatch    who takes which run up               sweep       runs that were forgotten, or whose worker is gone
    stream_dispatch, run_stream    the same between workers that share a Redis
    desk        runs asked for, waited for, told     keep_alive  an open request that keeps this worker awake
    bodies      documents in and out                 refusals    everything that is refused, by its code
    routes      what answers which path              metrics     what a worker tells of itself

Two event loops: the server's, with the store of runs, answers the balancer; the Flows' loop, in a thread of its own,
runs the runs. A step that holds up its loop holds up other runs, never a health check.
"""
