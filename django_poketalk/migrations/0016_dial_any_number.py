from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("poketalk", "0015_final_figures")]

    operations = [
        migrations.AlterModelOptions(
            name="callrequest",
            options={
                "default_permissions": ("view", "change", "delete"),
                "get_latest_by": "id",
                "ordering": ["-id"],
                "permissions": [
                    ("place_call", "Can place calls"),
                    ("dial_any_number", "Can dial any number"),
                    ("hang_up_any_call", "Can hang up anybody's call"),
                    ("view_numbers", "Can see whole phone numbers"),
                ],
                "verbose_name": "call",
                "verbose_name_plural": "calls",
            },
        ),
    ]
