"""Receives events from the service, records them, and decides how to answer them."""
