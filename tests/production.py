"""Run a command with the settings of a production installation: ``python -m tests.production COMMAND...``."""

from __future__ import annotations

import os
import sys

from vppportal.embedded import make_encryption_key, make_secret_key

PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "vppportal.settings",
    "PORTAL_URL": "https://portal.example.com",
    "DATABASE_URL": "postgres://portal:secret@127.0.0.1:5432/portal",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}

if __name__ == "__main__":
    environment = PRODUCTION | {"SECRET_KEY": make_secret_key(), "TOKEN_ENCRYPTION_KEYS": make_encryption_key()}
    os.execvpe(sys.argv[1], sys.argv[1:], os.environ | environment)  # noqa: S606 - a list of arguments, no shell
