"""Several phones for each user instead of one number, and a permission of its own for users who may
choose any phone to ring first.
"""

from collections.abc import Iterator
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import django_poketalk.models.phones

RENAMED = {f"{action}_callernumber": f"{action}_phone" for action in ("add", "change", "delete")}
RENAMED["view_callernumber"] = "view_phone"
CHOOSE = ("choose_caller_phone", "Can choose another user's phone to ring first")


def keep_permissions(apps: Any, schema_editor: Any) -> None:
    """Rename the permissions. Users and groups who may change phones may still choose any phone."""
    using = schema_editor.connection.alias
    Permission = apps.get_model("auth", "Permission")
    found = Permission.objects.using(using).filter(
        content_type__app_label="poketalk", codename__in=RENAMED
    )
    for permission in found:
        permission.codename = RENAMED[permission.codename]
        permission.name = permission.name.replace("caller's number", "phone")
        permission.save(using=using)
        if permission.codename == "change_phone":
            choose, _made = Permission.objects.using(using).get_or_create(
                content_type_id=permission.content_type_id,
                codename=CHOOSE[0],
                defaults={"name": CHOOSE[1]},
            )
            for holders in _holders(apps):
                held = holders.objects.using(using).filter(permission_id=permission.pk)
                for row in held:
                    row.pk = None
                    row.permission_id = choose.pk
                    row.save(using=using, force_insert=True)


def restore_permissions(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    permissions = permissions.filter(content_type__app_label="poketalk")
    permissions.filter(codename__in=[CHOOSE[0], "verify_phone"]).delete()
    for old, new in RENAMED.items():
        permissions.filter(codename=new).update(codename=old)


def _holders(apps: Any) -> Iterator[Any]:
    """The tables of the groups' and, if users have permissions, the users' permissions."""
    yield apps.get_model("auth", "Group")._meta.get_field("permissions").remote_field.through
    user = apps.get_model(settings.AUTH_USER_MODEL)
    named = {field.name: field for field in user._meta.many_to_many}
    if "user_permissions" in named:
        yield named["user_permissions"].remote_field.through


class Migration(migrations.Migration):
    dependencies = [
        ("poketalk", "0003_presented_number"),
        ("auth", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RenameModel("CallerNumber", "Phone"),
        migrations.RunPython(keep_permissions, restore_permissions),
        migrations.AlterModelOptions(
            name="phone",
            options={
                "ordering": ["user", "pk"],
                "permissions": [
                    CHOOSE,
                    ("verify_phone", "Can verify the phones of users"),
                ],
                "verbose_name": "phone",
                "verbose_name_plural": "phones",
            },
        ),
        migrations.AlterField(
            model_name="phone",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="poketalk_phones",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
        migrations.AddField(
            model_name="phone",
            name="label",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Such as desk or mobile.",
                max_length=40,
                verbose_name="label",
            ),
            preserve_default=False,
        ),
        # Each user had one phone, which is the default one.
        migrations.AddField(
            model_name="phone",
            name="is_default",
            field=models.BooleanField(default=True, null=True, verbose_name="default"),
        ),
        migrations.AlterField(
            model_name="phone",
            name="is_default",
            field=models.BooleanField(default=None, null=True, verbose_name="default"),
        ),
        migrations.AddField(
            model_name="phone",
            name="verified_at",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="verified"
            ),
        ),
        migrations.AddConstraint(
            model_name="phone",
            constraint=models.UniqueConstraint(
                fields=("user", "is_default"), name="poketalk_one_default_phone"
            ),
        ),
        migrations.AddConstraint(
            model_name="phone",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_default", None), ("is_default", True), _connector="OR"),
                name="poketalk_default_or_null",
            ),
        ),
        migrations.AddConstraint(
            model_name="phone",
            constraint=models.UniqueConstraint(
                fields=("user", "number"),
                name="poketalk_phone_once",
                violation_error_message="This user already has a phone with this number.",
            ),
        ),
        migrations.CreateModel(
            name="VerificationCode",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.CharField(max_length=16)),
                ("digest", models.CharField(max_length=64)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["user", "created_at"], name="poketalk_codes_by_user"),
                    models.Index(fields=["number", "created_at"], name="poketalk_codes_by_number"),
                ],
            },
        ),
        migrations.AlterField(
            model_name="callrequest",
            name="from_number",
            field=models.CharField(
                max_length=16,
                validators=[django_poketalk.models.phones.validate_phone],
                verbose_name="from",
            ),
        ),
        migrations.RemoveIndex(model_name="callrequest", name="poketalk_by_caller"),
        migrations.AddIndex(
            model_name="callrequest",
            index=models.Index(fields=["from_number", "created_at"], name="poketalk_by_phone"),
        ),
    ]
