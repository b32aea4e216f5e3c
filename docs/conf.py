"""How Sphinx builds these pages: `tox run -e docs`."""

from __future__ import annotations

import sys
from pathlib import Path

import django
from django.conf import settings

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # for when the package is not installed

from django_poketalk import __version__  # noqa: E402

project = "django-poketalk"
copyright = "2026, django-poketalk contributors"  # noqa: A001  # Sphinx's name for it
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "django-poketalk"
html_copy_source = False
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings mark code by single backquotes.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True

# autodoc imports the code, which requires configured Django settings.
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django_poketalk",
        "django_poketalk.server",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
