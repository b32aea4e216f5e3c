"""Tests a Click-2-Call service: `python -m django_poketalk.conformance URL --key KEY`.

It requests calls and answers their events from an endpoint of its own. It uses no Django settings.
"""
