"""Presents calls to people: their status, log, timeline and sent request."""
