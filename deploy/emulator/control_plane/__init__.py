"""Runpod's REST v2 over HTTP, as its OpenAPI document describes it and with the surprises that were seen beside it.

    app                         all routes, and what stands before them
    endpoints | workers | worker_logs | releases | templates | volumes | registries | account_secrets | catalogue
    | data_centers | billing
                                one kind of resource each: its routes and what they answer
    guard                       who asks, how often, and the headers that say so
    rehearsal                   what goes wrong on demand, and the routes that switch it on
    desk                        what all routes share
    configuring | placement | stock | billing_windows | archive
                                rules and values: no HTTP
    bodies | reading | parameters | paging | moments | quota | routing | public_templates
                                what comes in, how it is read, where it goes
    problems                    every refusal, as ``application/problem+json``

State is the ``World``'s alone: two control planes on one world show the same.
"""
