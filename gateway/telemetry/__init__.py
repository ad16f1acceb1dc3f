"""What is told of requests that ended: metrics for Prometheus, a JSON line for people, records for the table."""
