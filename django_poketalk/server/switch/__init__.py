"""The call engine: rings leg A, then leg B, connects them, sends the events, and charges."""
