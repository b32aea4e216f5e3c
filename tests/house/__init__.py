"""Tests of the project's rules, which CONTRIBUTING.md lists."""
