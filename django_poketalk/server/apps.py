from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PokeTalkServerConfig(AppConfig):
    name = "django_poketalk.server"
    label = "poketalk_server"
    verbose_name = _("Click-to-call service")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  # they register with Django
