"""Bringing Tiergate up: the whole system on one machine.

Read ``deploy.local.system`` first: it says, step by step, what ``tiergate-deploy local`` does. Nothing here
imports the gateway or the orchestrator; they are programs that this one starts and talks to over HTTP.
"""
