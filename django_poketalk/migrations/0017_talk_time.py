from typing import Any

from django.db import migrations, models
from django.db.models.functions import Cast

from django_poketalk.models.final_figures import WholeSeconds

SECONDS = models.PositiveIntegerField()
ZERO = models.Value(0, output_field=SECONDS)
DURATION = Cast("duration", models.BigIntegerField())
ALONE = WholeSeconds("b_answered_at") - WholeSeconds("a_answered_at")


def count_again(apps: Any, schema_editor: Any) -> None:
    """The stored totals of past days have the talk time as it was measured before."""
    days = apps.get_model("poketalk", "ReportDay").objects.using(schema_editor.connection.alias)
    days.update(is_counted=False, checked_at=None)


class Migration(migrations.Migration):
    dependencies = [("poketalk", "0016_dial_any_number")]

    operations = [
        migrations.RemoveIndex(model_name="callrequest", name="poketalk_final_duration"),
        migrations.RemoveField(model_name="callrequest", name="final_duration"),
        migrations.AddField(
            model_name="callrequest",
            name="final_talk_time",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(
                        models.Q(ended_at__isnull=False) | models.Q(stale_at__isnull=False),
                        then=models.Case(
                            models.When(
                                models.Q(b_answered_at__gte=models.F("a_answered_at"))
                                & (
                                    models.Q(ended_at=None)
                                    | models.Q(b_answered_at__lte=models.F("ended_at"))
                                ),
                                then=models.Case(
                                    models.When(
                                        duration__gt=ALONE,
                                        then=models.ExpressionWrapper(
                                            DURATION - ALONE, output_field=SECONDS
                                        ),
                                    ),
                                    default=ZERO,
                                ),
                            ),
                            models.When(
                                models.Q(b_answered_at__isnull=False) | models.Q(status__in=(7, 8)),
                                then="duration",
                            ),
                            default=ZERO,
                        ),
                    ),
                    default=ZERO,
                ),
                output_field=models.PositiveIntegerField(),
            ),
        ),
        migrations.AddIndex(
            model_name="callrequest",
            index=models.Index(fields=["final_talk_time", "id"], name="poketalk_final_talk"),
        ),
        migrations.AlterField(
            model_name="callrequest",
            name="duration",
            field=models.PositiveIntegerField(
                default=0,
                help_text="Seconds since the caller answered.",
                verbose_name="billed time",
            ),
        ),
        migrations.RunPython(count_again, migrations.RunPython.noop, elidable=True),
    ]
