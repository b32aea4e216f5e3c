"""The Click-2-Call protocol, on which both sides must agree. Pure Python, without models, settings
or I/O.
"""
