"""Settings of the example. `manage.py` runs it on one machine without changes, with DEBUG. Set
environment variables to deploy it; `crm.wsgi` and `crm.celery` alone never turn DEBUG on.

Both halves of django_poketalk are installed here. They only communicate over HTTP, as they would
over the internet.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
import django
from django.core.exceptions import ImproperlyConfigured

from contacts.results import RESULTS
from django_poketalk.calls.schedule import BEAT_SCHEDULE

from . import environment

BASE_DIR = Path(__file__).resolve().parent.parent

# The folder of all files that the example writes: the database, the broker's folders, logs, the
# secret key. It is not in version control.
VAR = Path(os.environ.get("CRM_VAR") or BASE_DIR / "var")
VAR.mkdir(parents=True, exist_ok=True)

# The URL of this site, for users and for the events of the service.
SITE_URL = os.environ.get("CRM_URL") or "http://127.0.0.1:8000"
_site = urlsplit(SITE_URL)
if _site.scheme not in {"http", "https"} or not _site.hostname:
    raise ImproperlyConfigured(
        f"CRM_URL={SITE_URL!r} is not an http or https URL, such as https://crm.example.com"
    )
_encrypted = _site.scheme == "https"
_on_this_machine = _site.hostname in {"127.0.0.1", "localhost"}

DEBUG = environment.flag("DJANGO_DEBUG", default=False)
SECRET_KEY = environment.secret_key("DJANGO_SECRET_KEY", VAR / "secret_key", development=DEBUG)
ALLOWED_HOSTS = environment.words("DJANGO_ALLOWED_HOSTS") or [_site.hostname]
CSRF_TRUSTED_ORIGINS = [f"{_site.scheme}://{_site.netloc}"]

INSTALLED_APPS = [
    "contacts",
    "demo",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "django_poketalk",
    "django_poketalk.server",
]

# A strict Content-Security-Policy: no inline style or script, and nothing from other sites. Django
# sends the header itself from 6.0 on; before, django-csp does.
_policy = {
    "default-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
if django.VERSION >= (6, 0):
    SECURE_CSP = _policy
    _csp_middleware = "django.middleware.csp.ContentSecurityPolicyMiddleware"
else:
    CONTENT_SECURITY_POLICY = {"DIRECTIVES": _policy}
    _csp_middleware = "csp.middleware.CSPMiddleware"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    _csp_middleware,
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_poketalk.middleware.AdminCallBarMiddleware",
]

ROOT_URLCONF = "crm.urls"
WSGI_APPLICATION = "crm.wsgi.application"

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

# Database: SQLite, or that of DATABASE_URL, such as postgres://crm:secret@db.example.com/crm

DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{VAR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    if DATABASES["default"]["NAME"] != ":memory:":
        environment.private_file(Path(DATABASES["default"]["NAME"]))
    DATABASES["default"]["OPTIONS"] = {
        # A transaction that writes waits for others, instead of failing halfway.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Celery: a broker of plain files, or that of CELERY_BROKER_URL, such as redis://127.0.0.1:6379/0

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or "files://localhost//"
CELERY_TASK_IGNORE_RESULT = True
CELERY_BEAT_SCHEDULE = {**BEAT_SCHEDULE}
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("CRM_QUEUE") or "crm"
CELERY_BROKER_CONNECTION_TIMEOUT = 3
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_DB_REUSE_MAX = 1000  # Celery would close the database connection around every task
match urlsplit(CELERY_BROKER_URL).scheme:
    case "files":
        _broker = VAR / "broker"
        for _folder in ("messages", "control"):
            (_broker / _folder).mkdir(parents=True, exist_ok=True)
        CELERY_BROKER_TRANSPORT_OPTIONS = {
            "data_folder_in": str(_broker / "messages"),
            "data_folder_out": str(_broker / "messages"),
            "control_folder": str(_broker / "control"),
            "polling_interval": 0.1,
        }
    case "redis" | "rediss":
        CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 3, "socket_timeout": 5}
    case "amqp" | "amqps":
        CELERY_BROKER_TRANSPORT_OPTIONS = {"connect_timeout": 3, "write_timeout": 5}

# The caller's side: the service that places calls, and the base URL for its events

POKETALK = {
    "URL": os.environ.get("POKETALK_URL") or f"{SITE_URL}/index.php/api/click2call",
    "API_KEY": os.environ.get("POKETALK_API_KEY", ""),
    # The query API of our own service. Another service has none.
    "CALLS_API": (
        os.environ.get("POKETALK_CALLS_API")
        or ("" if os.environ.get("POKETALK_URL") else f"{SITE_URL}/api/")
    ),
    "CURRENCY": "EUR",
    "EVENT_BASE_URL": SITE_URL,
    "DEFAULT_REGION": "GB",
    "ALLOWED_COUNTRIES": ("GB", "US", "FR", "AU"),
    "MAX_DURATION": 1800,
    "MAX_COST": Decimal("5.00"),
    "VERIFY_PHONES": "staff",
    "DISPOSITIONS": RESULTS,
    "SERVICE_EXTENSIONS": ("caller_id", "internal_numbers", "to_extension"),
}
if DEBUG:  # people who try the demo call the same simulated phone again and again
    POKETALK["CALLS_PER_HOUR_PER_USER"] = 1000
    POKETALK["CALLS_PER_HOUR_PER_CALLEE"] = 1000
    POKETALK["CALLS_PER_HOUR_PER_CALLER_PHONE"] = 1000

# The service's side. Events are only sent to public addresses, unless both halves run on this
# machine.

POKETALK_SERVER = {
    "EVENT_NETWORKS": ("127.0.0.1/32",) if _on_this_machine else (),
    "EVENT_PORTS": (_site.port or (443 if _encrypted else 80),),
}

# What a deployment sets: see deploy/README.md

if environment.words("CRM_TRUSTED_PROXIES"):
    POKETALK["TRUSTED_PROXIES"] = environment.words("CRM_TRUSTED_PROXIES")
    POKETALK_SERVER["TRUSTED_PROXIES"] = environment.words("CRM_TRUSTED_PROXIES")
POKETALK_SERVER |= {
    key: os.environ[f"CRM_{key}"]
    for key in ("HEALTH_ADDRESS", "HEALTH_TOKEN", "SIP_ADDRESS")
    if os.environ.get(f"CRM_{key}")
}
POKETALK_SERVER |= {
    key: int(os.environ[f"CRM_{key}"])
    for key in ("DRAIN", "SIP_PORT")
    if os.environ.get(f"CRM_{key}")
}

# People

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "contacts:list"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Programs use the REST API with a token, the CRM's own pages with their session.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
}

# Encryption is required, except on a development server.

SECURE_SSL_REDIRECT = environment.flag("DJANGO_SSL_REDIRECT", default=not DEBUG)
SESSION_COOKIE_SECURE = environment.flag("DJANGO_SECURE_COOKIES", default=not DEBUG)
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if environment.flag("DJANGO_HSTS", default=not DEBUG) else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
if environment.flag("DJANGO_BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Other settings

LANGUAGE_CODE = "en-gb"
LANGUAGES = [
    ("en-gb", "English"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("he", "עברית"),
]
TIME_ZONE = "Europe/London"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "hide_numbers": {"()": "django_poketalk.shared.logs.HideNumbers"},
        "hide_tokens": {"()": "crm.logs.HideTokens"},
    },
    "formatters": {
        "line": {"()": "crm.logs.LineFormatter"},
        "json": {"()": "crm.logs.JSONFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["hide_numbers", "hide_tokens"],
            "formatter": "json" if os.environ.get("CRM_LOG") == "json" else "line",
        },
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.request": {"level": "ERROR"},  # runserver already logs each request
    },
}
