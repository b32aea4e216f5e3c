from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PokeTalkConfig(AppConfig):
    name = "django_poketalk"
    label = "poketalk"
    verbose_name = _("Click-to-call")
    default_auto_field = "django.db.models.BigAutoField"
    doctor = "django_poketalk.doctor"  # for `poketalk_doctor`
    personal_data = "django_poketalk.calls.personal_data"  # for `poketalk_person`

    def ready(self) -> None:
        from . import checks, tasks  # noqa: F401  # they register with Django and Celery
        from .models.cap_locks import create_cap_locks

        post_migrate.connect(create_cap_locks, sender=self)
