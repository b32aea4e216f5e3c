"""The doctor: checks of a running installation, for the command `poketalk_doctor` and for the
admin's health pages. Each half lists its own checks (`AppConfig.doctor`).
"""

from .checking import Check, Finding, Level, Options, Result, diagnose, worst

__all__ = ["Check", "Finding", "Level", "Options", "Result", "diagnose", "worst"]
