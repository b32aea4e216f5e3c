"""Adds an index of the calls that ended before the callee was called, and makes databases estimate
how few calls are open.
"""

from django.db import migrations, models

STATUS = models.SmallIntegerField(null=True)


class Migration(migrations.Migration):
    dependencies = [("poketalk", "0019_read_beside_calls")]

    operations = [
        migrations.AddField(
            model_name="callrequest",
            name="final_status",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(
                        models.Q(
                            ended_at=None,
                            placement__in=["queued", "sending", "accepted", "unknown"],
                            stale_at=None,
                        ),
                        then=models.Value(0, output_field=STATUS),
                    ),
                    default="status",
                ),
                output_field=STATUS,
            ),
        ),
        migrations.AddIndex(
            model_name="callrequest",
            index=models.Index(
                fields=["final_status", "-id"],
                name="poketalk_undialed",
                condition=models.Q(final_status__in=[2, 4]),
            ),
        ),
    ]
