import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("poketalk_server", "0026_fill_price_lists")]

    operations = [
        migrations.RemoveField(
            model_name="deckimport",
            name="provider",
        ),
        migrations.RemoveField(
            model_name="rate",
            name="provider",
        ),
        migrations.AlterField(
            model_name="rate",
            name="price_list",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="rates",
                to="poketalk_server.pricelist",
                verbose_name="price list",
            ),
        ),
        migrations.AddConstraint(
            model_name="buyrate",
            constraint=models.UniqueConstraint(
                fields=("gateway", "is_internal", "prefix", "valid_from"),
                name="poketalk_server_one_buy_rate_a_day",
            ),
        ),
        migrations.AddConstraint(
            model_name="deckimport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("gateway__isnull", False), ("price_list", None)),
                    models.Q(("gateway", None), ("price_list__isnull", False)),
                    _connector="OR",
                ),
                name="poketalk_server_deck_import_of_one",
            ),
        ),
        migrations.AddConstraint(
            model_name="rate",
            constraint=models.UniqueConstraint(
                fields=("price_list", "is_internal", "prefix", "valid_from"),
                name="poketalk_server_one_rate_a_day",
            ),
        ),
        migrations.AddIndex(
            model_name="buyrate",
            index=models.Index(fields=["valid_from"], name="poketalk_buyrate_from"),
        ),
        migrations.AddIndex(
            model_name="rate",
            index=models.Index(fields=["valid_from"], name="poketalk_rate_from"),
        ),
    ]
