"""The orchestrator: runs CrewAI Flows whose agents reach their models through the gateway, and nothing else.

Read ``flow.py`` first: it turns MODULE:CLASS into a Flow, checks the inputs and runs it. ``llm.py`` is what
an agent gets when it names a tier, ``identity.py`` how each call says who makes it, ``settings.py`` the only
reader of the environment, ``cli.py`` the command. ``app.py`` hosts a Flow behind a load balancer.

Importing this package imports no CrewAI: that takes seconds, and ``settings.prepare_crewai`` has to run
before it.
"""
