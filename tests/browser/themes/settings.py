"""The settings of the tests, with the theme that the environment names."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

THEMES = {
    "admin_interface": ["admin_interface", "colorfield"],
    "grappelli": ["grappelli"],
    "jazzmin": ["jazzmin"],
    "unfold": ["unfold", "unfold.contrib.filters", "unfold.contrib.forms"],
}
ADMIN_THEME = os.environ["ADMIN_THEME"]

ROOT_URLCONF = "tests.browser.themes.urls"
# Before the admin, as the themes' docs demand
INSTALLED_APPS = [*THEMES[ADMIN_THEME], *INSTALLED_APPS, "tests.browser.themes"]
# django-admin-interface warns without it
MIDDLEWARE = [*MIDDLEWARE[:2], "django.middleware.locale.LocaleMiddleware", *MIDDLEWARE[2:]]
