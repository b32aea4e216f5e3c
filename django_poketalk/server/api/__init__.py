"""The query API: an account reads its calls and their events, as JSON."""
