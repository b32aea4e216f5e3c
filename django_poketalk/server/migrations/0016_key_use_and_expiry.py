from typing import Any

from django.db import migrations, models
from django.db.models import F

from django_poketalk.server.database.clock import DatabaseNow


def expire(apps: Any, schema_editor: Any) -> None:
    """Keys whose revocation was set to a time in the future expire then."""
    keys = apps.get_model("poketalk_server", "ApiKey").objects.using(schema_editor.connection.alias)
    later = keys.filter(revoked_at__gt=DatabaseNow())
    later.update(expires_at=F("revoked_at"))
    later.update(revoked_at=None)


def revoke_later(apps: Any, schema_editor: Any) -> None:
    """Keys that expire are revoked then."""
    keys = apps.get_model("poketalk_server", "ApiKey").objects.using(schema_editor.connection.alias)
    keys.filter(revoked_at=None, expires_at__isnull=False).update(revoked_at=F("expires_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("poketalk_server", "0015_deck_imports"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="expires_at",
            field=models.DateTimeField(
                blank=True,
                help_text="Leave empty for a key that does not.",
                null=True,
                verbose_name="expires",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="last_used_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="last used"),
        ),
        migrations.AddField(
            model_name="apikey",
            name="last_used_from",
            field=models.GenericIPAddressField(
                editable=False, null=True, verbose_name="last used from"
            ),
        ),
        migrations.RunPython(expire, revoke_later),
        migrations.AlterField(
            model_name="apikey",
            name="revoked_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="revoked"),
        ),
    ]
