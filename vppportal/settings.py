"""Settings of the portal: the only module that reads the environment.

Every variable NAME may also be given as NAME_FILE, the path of a file holding the value (a mounted secret). What is not
in the environment is looked for in ``DATA_DIR``, where ``make run`` keeps the keys it made; what is found nowhere
and has no default stops the start with a sentence that says what to set.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import environ
import structlog
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var")))


def secret(name: str, hint: str) -> str:
    """Return a required value from NAME, NAME_FILE or the file that ``make run`` left in DATA_DIR."""
    kept = DATA_DIR / name.lower().replace("_", "-")
    if name in os.environ or f"{name}_FILE" in os.environ:
        value: str = env.str(name)
    else:
        value = kept.read_text().strip() if kept.is_file() else ""
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value


DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = secret(
    "SECRET_KEY", "Give it 50 or more random characters, or start the portal with `make run`, which makes one."
)
TOKEN_ENCRYPTION_KEYS = [
    key.strip()
    for key in secret(
        "TOKEN_ENCRYPTION_KEYS",
        "Give one or more Fernet keys, newest first, separated by commas: VPP tokens are sealed with them.",
    ).split(",")
    if key.strip()
]

PORT = env.int("PORT", default=8000)
PORTAL_URL = env.str("PORTAL_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
IS_HTTPS = PORTAL_URL.startswith("https://")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[urlsplit(PORTAL_URL).hostname or "127.0.0.1", "127.0.0.1", "localhost", "[::1]"]
)
CSRF_TRUSTED_ORIGINS = [PORTAL_URL] if IS_HTTPS else []
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if IS_HTTPS and (DEBUG or "*" in ALLOWED_HOSTS):
    raise ImproperlyConfigured(
        "DEBUG shows settings to anybody who makes a page fail, and a * in ALLOWED_HOSTS answers to any name: "
        "neither goes with an https PORTAL_URL."
    )

# --- Apple -----------------------------------------------------------------------------------------------------------

APPLE_VPP_URL = env.str("APPLE_VPP_URL", default="https://vpp.itunes.apple.com/mdm/v2").rstrip("/")
ARTWORK_SOURCES = env.list("ARTWORK_SOURCES", default=[])
SIMULATED = env.bool("SIMULATED", default=False)
# Apple notifies https addresses only; a stand-in, which is plain http itself, takes others of this machine, too.
HEARS_APPLE = IS_HTTPS or APPLE_VPP_URL.startswith("http://")
SYNC_EVERY_HOURS = env.int("SYNC_EVERY_HOURS", default=6)
STORE_CHECK_HOURS = env.float("STORE_CHECK_HOURS", default=4.0)
if not 0 < STORE_CHECK_HOURS <= 24 * 365:
    raise ImproperlyConfigured("STORE_CHECK_HOURS must be a number of hours above 0, and at most those of a year.")

# --- Devices: the MDM server NanoMDM ---------------------------------------------------------------------------------

NANOMDM_URL = env.str("NANOMDM_URL", default="").rstrip("/")
NANOMDM_API_KEY = env.str("NANOMDM_API_KEY", default="")
NANOMDM_WEBHOOK_KEY = env.str("NANOMDM_WEBHOOK_KEY", default="")
NANOMDM_USER = env.str("NANOMDM_USER", default="nanomdm")
NANOMDM_API_PATH = env.str("NANOMDM_API_PATH", default="/v1").rstrip("/")
NANOMDM_PUSH = env.bool("NANOMDM_PUSH", default=True)
MDM_PROFILE_IDENTIFIER = env.str("MDM_PROFILE_IDENTIFIER", default="")

# --- Applications ----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "vppportal",
    "catalog",
    "tokens",
    "vppportal.groups",
    "vppportal.activity",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_tables2",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "csp",
    "allauth",
    "allauth.account",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "vppportal.middleware.time_zone",
    "vppportal.middleware.private_pages",
    "vppportal.middleware.known_methods",
    "vppportal.middleware.no_nul",
]

ROOT_URLCONF = "vppportal.urls"
WSGI_APPLICATION = "vppportal.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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
                "vppportal.context.portal",
                "catalog.context.approvals",
            ],
        },
    }
]
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
INSTALLED_APPS.append("django.forms")  # its templates are found through the renderer above

# --- Database and Redis ----------------------------------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'portal.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction that reads first and writes later would otherwise fail when another process writes.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

REDIS_URL = secret("REDIS_URL", "Give the address of a Redis or Valkey server, for example redis://127.0.0.1:6379/0.")
CACHES = {
    "default": {
        "BACKEND": "vppportal.cache.ForgetfulCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "portal",
        # No retries: somebody is waiting for the page, and everything kept here can do without.
        "OPTIONS": {
            "serializer": "vppportal.cache.Json",
            "socket_connect_timeout": 2,
            "socket_timeout": 3,
            "retry": None,
        },
    }
}

# --- Background work -------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
# Leases and bounded attempts stop a row that kills its worker, so a lost worker's message may safely come again.
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 8
CELERY_TASK_TIME_LIMIT = 1800
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Longer than the longest task, or Redis hands a running task out again.
    "visibility_timeout": 3600,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 15,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    # Whoever asks for work does not wait for a broker that is away; the sweeper finds the work by itself.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BEAT_SCHEDULER = "vppportal.timetable.Timetable"
# How long a beat that died keeps a second one from taking over.
BEAT_LOCK_SECONDS = 10
CELERY_BEAT_MAX_LOOP_INTERVAL = 2
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "pick up due work": {"task": "tokens.tasks.sweep", "schedule": 10.0},
    "ask for syncs that are due": {"task": "tokens.tasks.schedule_syncs", "schedule": 60.0},
    "add apps that are waiting": {"task": "catalog.tasks.sweep", "schedule": 10.0},
    "pick up due imports": {"task": "vppportal.groups.tasks.sweep", "schedule": 10.0},
    "forget old drafts": {"task": "catalog.tasks.forget_old_drafts", "schedule": crontab(minute="25")},
    "send updates": {"task": "catalog.tasks.propagate_updates", "schedule": 60.0},
    "look after devices": {"task": "catalog.tasks.look_after_devices", "schedule": 20.0},
    "look after the channel to devices": {"task": "catalog.tasks.sweep_channel", "schedule": 10.0},
    "forget old events": {"task": "catalog.tasks.forget_old_events", "schedule": crontab(hour="3", minute="30")},
    "forget old sync records": {"task": "tokens.tasks.forget_old_runs", "schedule": crontab(hour="3", minute="10")},
    "forget old imports": {
        "task": "vppportal.groups.tasks.forget_old_imports",
        "schedule": crontab(hour="3", minute="20"),
    },
}

# --- Who may come in -------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "vppportal.accounts.ClosedAccounts"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
# Nobody can sign up, which the mail to an unknown address would offer.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_RATE_LIMITS = {"login_failed": "30/15m/ip,5/5m/key", "login": "60/m/ip"}
# Without a proxy the header is anybody's; with one, all people would otherwise share its address and its limit.
ALLAUTH_TRUSTED_PROXY_COUNT = int(BEHIND_PROXY)
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_HTTPS else "http"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3600

# --- Browser security ------------------------------------------------------------------------------------------------

SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_HTTPONLY = True
if IS_HTTPS:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_SSL_REDIRECT = env.bool("SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^health/"]
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    if BEHIND_PROXY:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF, "data:", "https://*.mzstatic.com", *ARTWORK_SOURCES],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
        "manifest-src": [SELF],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_HANDLERS = ["vppportal.uploads.SmallUploads"]
DATA_UPLOAD_MAX_NUMBER_FILES = 5

# --- Language, time, static files, mail ------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
USE_TZ = True
TIME_ZONE = "UTC"
USE_THOUSAND_SEPARATOR = True

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(DATA_DIR / "static")))
STATICFILES_DIRS = [
    (name, folder)
    for name, folder in (
        ("css", BASE_DIR / "static/css"),
        ("js", BASE_DIR / "static/js"),
        ("vendor", BASE_DIR / ".assets/vendor"),
    )
    if folder.is_dir()
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="VPP portal <portal@localhost>")

# --- Logs ------------------------------------------------------------------------------------------------------------

_shared_processors: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _shared_processors,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer()
                if env.str("LOG_FORMAT", default="json") == "json"
                else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
            ],
        }
    },
    "filters": {"without_reset_keys": {"()": "vppportal.logs.WithoutResetKeys"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "structured", "filters": ["without_reset_keys"]}
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "redbeat": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        # Only `manage.py runserver` writes here; Django would give it a handler of its own.
        "django.server": {"handlers": ["stderr"], "propagate": False},
    },
}
structlog.configure(
    processors=[*_shared_processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # vppportal.accounts does, trusting less
