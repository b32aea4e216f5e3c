"""The call engine: rings leg A, then leg B, connects them, tells the customer, and charges."""
