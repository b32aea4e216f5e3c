from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "tests.integration.people"

    def ready(self) -> None:
        from . import receivers  # noqa: F401  # they connect to the signals
