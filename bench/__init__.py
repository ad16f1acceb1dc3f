"""Load runs against the gateway: their drivers, their aims and their results. Not shipped, not part of the test run."""
