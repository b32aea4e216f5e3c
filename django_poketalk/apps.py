from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PokeTalkConfig(AppConfig):
    name = "django_poketalk"
    label = "poketalk"
    verbose_name = _("Click-to-call")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, tasks  # noqa: F401  # they register with Django and Celery
