"""The whole system on one machine: Runpod's emulator, the gateway and a Flow, as child processes of one command.

``system`` is the order of the steps. ``layout`` decides what has to run, ``endpoints`` how each is to be made,
``ports`` whether it can; ``processes`` runs it. ``emulator`` and ``gateway`` ask them over HTTP, ``flow_call`` runs the
Flow, ``watch`` tells what happens meanwhile, ``verdict`` judges the records and ``report`` draws them. ``engine`` is
the program behind a tier's worker.
"""
