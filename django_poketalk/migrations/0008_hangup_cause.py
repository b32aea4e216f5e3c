from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("poketalk", "0007_bounded_events"),
    ]

    operations = [
        migrations.AddField(
            model_name="callrequest",
            name="hangup_cause",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=40,
                verbose_name="hang-up cause",
            ),
        ),
    ]
