"""The whole system on one machine: real engines, the gateway and a Flow, as child processes of one command.

``system`` is the order of the steps. ``layout`` decides what has to run, ``ports`` whether it can,
``processes`` runs it, ``engine`` is the server behind a tier, ``gateway`` reads the gateway's records,
``verdict`` judges them and ``report`` draws them.
"""
