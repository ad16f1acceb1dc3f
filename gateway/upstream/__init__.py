"""The far side of a call: one HTTP/1.1 connection pool per endpoint."""
