"""Runs the example as a whole, for people (`manage.py demo`) and as a check of itself (`manage.py
demo --check`).
"""
