"""The permissions in the groups of docs/howto/permissions.md exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from . import tree

PAGE = tree.ROOT / "docs" / "howto" / "permissions.md"
BLOCK = re.compile(r"```python\n(GROUPS = .*?)```", re.DOTALL)


@pytest.mark.django_db
def test_every_permission_of_the_services_groups_exists() -> None:
    [block] = BLOCK.findall(PAGE.read_text())
    names: dict[str, Any] = {}

    exec(block, names)

    named = {codename for codenames in names["GROUPS"].values() for codename in codenames}
    own = Permission.objects.filter(content_type__app_label="poketalk_server")
    assert named
    assert named - {*own.values_list("codename", flat=True)} == set()
