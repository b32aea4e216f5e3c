"""Settings for the tests: both halves installed, SQLite unless `DATABASE_URL` names another
database.
"""

from __future__ import annotations

import os
import tempfile

import dj_database_url

SECRET_KEY = "for the tests alone, where nothing is secret, and long enough for the deploy check"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
LOGIN_URL = "/admin/login/"

DATABASES = {
    "default": dj_database_url.parse(os.environ.get("DATABASE_URL") or "sqlite:///:memory:"),
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A separate file for each run, so that threads and processes have their own connections. The
    # options are those that a project on SQLite should use.
    DATABASES["default"]["TEST"] = {
        "NAME": os.path.join(tempfile.gettempdir(), f"poketalk-tests-{os.getpid()}.sqlite3")
    }
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # A commit does not wait for the disk, since nothing has to survive a crash of the server.
    DATABASES["default"]["OPTIONS"] = {"options": "-c synchronous_commit=off"}
elif DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    import pymysql

    pymysql.install_as_MySQLdb()  # requires no compiler, unlike mysqlclient
    DATABASES["default"]["TEST"] = {"CHARSET": "utf8mb4"}
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}  # Django 6.1
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "django_poketalk",
    "django_poketalk.server",
    "tests.crm",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or "memory://"

POKETALK = {
    "BACKEND": "django_poketalk.backends.locmem.LocmemBackend",
    "URL": "https://calls.example.com/index.php/api/click2call",
    "API_KEY": "the-key",
    "EVENT_BASE_URL": "https://crm.example.com",
    "LIVE_CALLS_PER_USER": None,
    "CALLS_PER_HOUR_PER_USER": None,
    "CALLS_PER_HOUR_PER_CALLEE": None,
    "CALLS_PER_HOUR_PER_CALLER_PHONE": None,
}
POKETALK_SERVER: dict[str, object] = {}
