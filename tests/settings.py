"""The portal's settings for tests: keys of their own, a cheap password hasher, mail in memory, plain static files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

from vppportal.embedded import free_port

os.environ.setdefault("SECRET_KEY", "only-for-tests-only-for-tests-only-for-tests-only-for-tests")
os.environ.setdefault("TOKEN_ENCRYPTION_KEYS", Fernet.generate_key().decode())
os.environ.setdefault("EMAIL_URL", "memorymail://")
os.environ.setdefault("LOG_LEVEL", "WARNING")
os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
# A test that keeps files asks for tmp_path.
os.environ.setdefault("DATA_DIR", "/nonexistent")
os.environ.setdefault("STATIC_ROOT", str(Path(__file__).resolve().parent.parent / "static"))
# tests/conftest.py starts the Valkey server that this address names.
# Each process of a parallel run inherits the first one's address and needs its own.
if "PYTEST_XDIST_WORKER" in os.environ or "REDIS_URL" not in os.environ:
    os.environ["REDIS_URL"] = f"redis://:tests@127.0.0.1:{free_port()}/0"
# Playwright runs an event loop in the test's own thread, where Django would refuse to use the database.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

from vppportal.settings import *  # noqa: F403

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # In memory, threads would share one connection's locks: no test could let two workers at the same rows.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(tempfile.gettempdir()) / f"vppportal-tests-{os.getpid()}.sqlite3")}  # noqa: F405
MDM_PROFILE_IDENTIFIER = "example.enrollment"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# WhiteNoise would otherwise walk STATIC_ROOT for every test client.
WHITENOISE_AUTOREFRESH = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
