"""The query API: what became of an account's calls, as JSON."""
