"""`manage.py poketalk_doctor`: the same command in both halves, for projects with only one."""

from django_poketalk.shared.doctor.command import Command

__all__ = ["Command"]
