"""System checks of the settings of the caller's side. They do not query the database."""

from . import configuration, deployment, templates

__all__ = ["configuration", "deployment", "templates"]
