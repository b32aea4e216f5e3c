"""`manage.py poketalk_person`: the same command in both halves, for projects with only one."""

from django_poketalk.shared.person_command import Command

__all__ = ["Command"]
