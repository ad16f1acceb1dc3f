"""The OpenAI-compatible service between agents and the endpoints of their tiers.

Read ``gateway/pipeline.py`` first: a request's way is written there, once. Top to bottom:

    cli, app, settings     the command line, the composition root, the only reader of the environment
    processes              several processes that are one gateway
    generation             all that depends on the tier map; ``reload`` and ``succession`` put a new one in its place
    api                    HTTP handlers; metered operations go straight on
    pipeline               the order of the steps, and nothing else
    authenticate … observe the steps; none knows another
    budget                 the ledger: slots, reservations, balances
    downstream             the client's side of a call
    upstream               the endpoint's side of a call
    store, telemetry       Valkey or Redis; records, metrics, the log
    exchange               what is known of one request so far
    wire                   OpenAI bytes in and out, no I/O
    errors                 every way to fail
"""
