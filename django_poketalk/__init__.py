"""Click-to-call for Django: the caller's side. The service's side is `django_poketalk.server`."""

__version__ = "0.1.0"
