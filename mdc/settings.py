"""The Django settings, made of the environment.

Every variable is named MDC_*; docs and `mdc doctor` list them. An odd value raises BadSetting.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict

from ingestion.domain.moved_clock import BadClock, MovedClock
from mdc.environment import (
    BadSetting,
    env_choice,
    env_flag,
    env_int,
    env_list,
    env_secret,
    env_text,
)
from mdc.stack.addresses import Home
from mdc.stack.files import read_json

BASE_DIR = Path(__file__).resolve().parent.parent


def database_settings(url: str) -> dict[str, Any]:
    """Turn a libpq address into Django's entry; what Django has no word for goes to OPTIONS."""
    try:
        parts: dict[str, Any] = dict(conninfo_to_dict(url))
    except psycopg.ProgrammingError as error:
        raise BadSetting(
            "MDC_DATABASE_URL", "an address like postgresql://user:password@host:5432/database"
        ) from error
    if not parts.get("dbname"):
        raise BadSetting("MDC_DATABASE_URL", "an address that ends in the name of a database")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": str(parts.pop("port", "")),
        # ASGI threads must not hold connections; workers turn reuse on (mdc/celery.py).
        "CONN_MAX_AGE": 0,
        "OPTIONS": parts,
    }


def named_settings(kind: str, suffix: str) -> dict[str, str]:
    """Return {NAME: value} of all MDC_<kind>_<NAME>_<suffix> variables.

    A value may stand in the file that MDC_<kind>_<NAME>_<suffix>_FILE names instead.
    """
    head, tail = f"MDC_{kind}_", f"_{suffix}"
    names = {name.removesuffix("_FILE") for name in os.environ if name.startswith(head)}
    found = {
        name.removeprefix(head).removesuffix(tail): env_secret(name)
        for name in names
        if name.endswith(tail)
    }
    return {name: value for name, value in found.items() if name and value}


def env_clock(name: str) -> MovedClock | None:
    """Return the clock of a rehearsal, None without one, or raise BadSetting."""
    text = env_text(name)
    try:
        return MovedClock.parse(text) if text else None
    except BadClock:
        raise BadSetting(
            name, "ANCHOR=SHOWN or ANCHOR=SHOWN*RATE, two times such as 2026-01-31T09:00Z"
        ) from None


def provider_settings(suffix: str) -> dict[str, str]:
    """Return {provider: value} of all MDC_PROVIDER_<NAME>_<suffix> variables."""
    return {name.lower(): value for name, value in named_settings("PROVIDER", suffix).items()}


def target_settings(suffix: str) -> dict[str, str]:
    """Return {target: value} of all MDC_TARGET_<NAME>_<suffix>; a hyphen is written as _."""
    found = named_settings("TARGET", suffix)
    return {name.lower().replace("_", "-"): value for name, value in found.items()}


# --- the stack ---------------------------------------------------------------------------------

MDC_HOME = Home.at(env_text("MDC_HOME", ".mdc"))
OWN_DATABASE_URL = env_secret("MDC_DATABASE_URL")
OWN_BROKER_URL = env_secret("MDC_BROKER_URL")
DATABASE_URL = OWN_DATABASE_URL or MDC_HOME.database_url()
BROKER_URL = OWN_BROKER_URL or MDC_HOME.broker_url()
FETCH_PROCESSES = env_int("MDC_FETCH_PROCESSES", 2, lowest=1, highest=64)
# The password of the first login; without it one is made at random and kept in MDC_HOME.
ADMIN_PASSWORD = env_secret("MDC_ADMIN_PASSWORD")
# The stack names a file here; the worker or beat writes its process id into it when it serves.
READY_FILE = env_text("MDC_READY_FILE")

# --- providers ---------------------------------------------------------------------------------

PROVIDER_BASE_URLS = provider_settings("BASE_URL")
PROVIDER_KEYS = provider_settings("KEY")
EGRESS = env_text("MDC_EGRESS", "default")
# Where targets are, and what their deliveries are signed with; never stored.
TARGET_URLS = target_settings("URL")
TARGET_SECRETS = target_settings("SECRET")
# A slice with fewer good bars, or a larger share of bad rows, fails instead of being stored.
MINIMUM_BARS = env_int("MDC_MINIMUM_BARS", 0, lowest=0, highest=1_000_000)
MAX_BAD_PERCENT = env_int("MDC_MAX_BAD_PERCENT", 20, lowest=0, highest=100)
# A folder in which tests and drills arm crash points: a worker kills itself there.
CRASH_POINTS = env_text("MDC_CRASH_POINTS")

# --- Django ------------------------------------------------------------------------------------

# A process without a stack (a one-off command, a check) signs nothing that must outlive it.
SECRET_KEY = (
    env_secret("MDC_SECRET_KEY")
    or read_json(MDC_HOME.secrets).get("secret_key")
    or secrets.token_urlsafe(64)
)
DEBUG = env_flag("MDC_DEBUG")
ALLOWED_HOSTS = env_list("MDC_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("MDC_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_celery_beat",
    "ingestion",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "mdc.middleware.fresh_calendars",
]
ROOT_URLCONF = "mdc.urls"
ASGI_APPLICATION = "mdc.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = r"Y-m-d H:i:s\Z"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

STATIC_URL = "static/"
# Only an image collects files; the local stack serves them straight from the packages.
STATIC_ROOT = env_text("MDC_STATIC_ROOT") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
# The local stack speaks HTTP on the loopback; behind a TLS proxy everything is https.
if env_flag("MDC_BEHIND_TLS"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

UNFOLD = {
    "SITE_TITLE": "mdc",
    "SITE_HEADER": "Market Data Collector",
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": True, "navigation": "ingestion.admin.navigation.sidebar"},
    "DASHBOARD_CALLBACK": "ingestion.admin.navigation.home",
}

# --- PostgreSQL --------------------------------------------------------------------------------

DATABASES = {"default": database_settings(DATABASE_URL)}
DATABASES["default"]["OPTIONS"].setdefault("connect_timeout", 10)
DATABASES["default"]["OPTIONS"].setdefault("application_name", "mdc")

# A frozen or cut-off worker must not hold locks for long. Applied by mdc/celery.py to the
# workers and beat only: an export or a migration may take its time.
WORKER_CONN_MAX_AGE = 300
WORKER_DATABASE_OPTIONS = {
    "application_name": "mdc-worker",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
WORKER_SESSION_SETTINGS = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "5s",
}

# --- Celery: messages are hints, PostgreSQL is the truth ---------------------------------------

CELERY_BROKER_URL = BROKER_URL
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_DEFAULT_QUEUE = "control"
# No `expires` here: a route's options collide with those that beat and the tasks pass.
CELERY_TASK_ROUTES = {
    "ingestion.tasks.fetch": {"queue": "fetch"},
    "ingestion.tasks.deliver": {"queue": "deliver"},
    # Beside the deliveries, since a look of 25 s would hold up the tick.
    "ingestion.tasks.inspect": {"queue": "deliver"},
    "ingestion.tasks.*": {"queue": "control"},
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 2,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.5,
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_TASK_SEND_SENT_EVENT = True
# Concerns late acknowledgement only, which nothing here uses; unset, each loss is a warning.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 4
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        "socket_keepalive": True,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "health_check_interval": 25,
        "visibility_timeout": 300,
    }
    if BROKER_URL.startswith(("redis", "rediss", "valkey"))
    else {}
)
CELERY_BEAT_SCHEDULER = "ingestion.beat:SessionScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
DJANGO_CELERY_BEAT_TZ_AWARE = True

# --- logs --------------------------------------------------------------------------------------

# A rehearsal shows the shells another time; see docs/schedules.md.
CLOCK = env_clock("MDC_CLOCK")

LOG_LEVEL = env_choice("MDC_LOG_LEVEL", "info", ("debug", "info", "warning", "error")).upper()
LOG_FORMAT = env_choice("MDC_LOG_FORMAT", "text", ("text", "json"))

_LOG_STEPS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
_LOG_RENDERER: list[Any] = (
    [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if LOG_FORMAT == "json"
    # The default formatter prints local variables, and with them keys and passwords.
    else [
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    ]
)
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_LOG_STEPS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _LOG_STEPS,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_LOG_RENDERER,
            ],
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "mdc": {"level": LOG_LEVEL},
        "ingestion": {"level": LOG_LEVEL},
        "providers": {"level": LOG_LEVEL},
        "celery": {"level": "INFO"},
        # A tick each second is no news; Flower and the attempt ledger show what tasks do.
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "django": {"handlers": [], "level": "INFO", "propagate": True},
    },
}
