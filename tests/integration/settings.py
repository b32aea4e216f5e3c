"""A CRM as developers have it: a user with a UUID, django-allauth, django-phonenumber-field,
django-unfold, htmx and Turbo, django-guardian, a strict Content-Security-Policy, two databases,
and uvicorn.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import dj_database_url

TURBO = Path(__file__).resolve().parents[2] / "node_modules" / "@hotwired" / "turbo" / "dist"
RUN = Path(tempfile.gettempdir()) / f"poketalk-integration-{os.getpid()}"

SECRET_KEY = "for the tests alone, where nothing is secret, and long enough for the deploy check"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.integration.urls"
STATIC_URL = "static/"
STATICFILES_DIRS = [TURBO] if TURBO.is_dir() else []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The calls are beside the users; archived deals have a database of their own.
SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
    },
}
DATABASES = {
    "default": {**SQLITE, "NAME": f"{RUN}.sqlite3", "TEST": {"NAME": f"{RUN}-test.sqlite3"}},
    "archive": {
        **SQLITE,
        "NAME": f"{RUN}-archive.sqlite3",
        "TEST": {"NAME": f"{RUN}-archive-test.sqlite3"},
    },
}
if os.environ.get("DATABASE_URL"):
    DATABASES["default"] = dj_database_url.config(conn_max_age=0)
DATABASE_ROUTERS = ["tests.integration.people.router.ArchiveRouter"]

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "django_htmx",
    "guardian",
    "phonenumber_field",
    "rest_framework",
    "django_filters",
    "django_poketalk",
    "tests.integration.people",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ("/admin/",),  # the theme needs more
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}

# The accounts
AUTH_USER_MODEL = "people.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = False
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ANONYMOUS_USER_NAME = None
PHONENUMBER_DEFAULT_REGION = "GB"

CELERY_BROKER_URL = "memory://"
POKETALK = {
    "URL": "https://calls.example.com/index.php/api/click2call",
    "API_KEY": "the-key",
    "EVENT_BASE_URL": "https://crm.example.com",
    "DEFAULT_REGION": "GB",
    "LIVE_CALLS_PER_USER": None,
    "BASE_TEMPLATE": "people/base.html",
    "VISIBLE_CALLS": "tests.integration.people.rules.visible_calls",
}
