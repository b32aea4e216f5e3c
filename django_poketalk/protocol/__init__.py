"""The wire: what the caller's and the service's side must agree on. Pure Python, without models,
settings or I/O.
"""
