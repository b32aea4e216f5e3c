from django.apps import AppConfig
from django.core.checks import Tags, register


class ContactsConfig(AppConfig):
    name = "contacts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from crm.deployment import check_demo_data

        register(check_demo_data, Tags.database)
