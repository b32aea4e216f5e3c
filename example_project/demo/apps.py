import os

from django.apps import AppConfig

FAST_PHONES = "DEMO_FAST_PHONES"  # set for the programs of the command `demo`
DAY = 86_400  # seconds


class DemoConfig(AppConfig):
    name = "demo"

    def ready(self) -> None:
        """Count the durations that the service reports, although its simulated phones talk longer
        than the time that has passed, because they are faster than real time.
        """
        if FAST_PHONES in os.environ:
            from django_poketalk.events import recording

            recording.MARGIN = DAY
