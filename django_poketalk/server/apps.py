from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PokeTalkServerConfig(AppConfig):
    name = "django_poketalk.server"
    label = "poketalk_server"
    verbose_name = _("Click-to-call service")
    default_auto_field = "django.db.models.BigAutoField"
    doctor = "django_poketalk.server.doctor"  # for `poketalk_doctor`
    personal_data = "django_poketalk.server.personal_data"  # for `poketalk_person`

    def ready(self) -> None:
        from . import checks  # noqa: F401  # they register with Django
