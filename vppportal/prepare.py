"""Bring the database, the collected static files and the first administrator up to date, and report who that is.

Told so, it also takes in the people and devices of the simulator's sample company.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, utils
from django.db.migrations.executor import MigrationExecutor

from vppportal.simulator.mdm import company

ADMINISTRATOR = "admin"


def migrate() -> None:
    """Migrate unless nothing is new: looking costs a tenth of running the command."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)


def static_sources() -> Iterator[Path]:
    """Yield every file whose change makes it necessary to collect the static files again."""
    yield settings.BASE_DIR / "requirements.lock"
    yield settings.BASE_DIR / "vppportal" / "settings.py"
    for _prefix, folder in settings.STATICFILES_DIRS:
        yield from sorted(path for path in Path(folder).rglob("*") if path.is_file())


def collect_static() -> None:
    """Collect and compress the static files unless they are already those of these sources."""
    marks = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in static_sources()]
    mark = hashlib.sha256("\n".join(marks).encode()).hexdigest()
    made_from = Path(settings.STATIC_ROOT) / ".made-from"
    if not made_from.is_file() or made_from.read_text() != mark:
        # Without clearing, a file that is older than its collected copy would not replace it.
        call_command("collectstatic", interactive=False, verbosity=0, clear=True)
        made_from.write_text(mark)


def first_password_holds(password: str) -> bool:
    """Make the administrator if there is none; say whether the first password is still the administrator's password."""
    users = get_user_model()._default_manager
    administrator = users.filter(username=ADMINISTRATOR).first()
    if administrator is None:
        users.create_superuser(ADMINISTRATOR, f"{ADMINISTRATOR}@localhost", password)
        return True
    return bool(administrator.check_password(password))


def load_sample_company(seed: int) -> None:
    """Import the groups, people and devices of the simulator's company, unless there are people already."""
    if apps.get_model("groups", "ManagedUser")._default_manager.exists():
        return
    # The order matters: people are members of groups, devices belong to people.
    for kind, path in company.write_files(seed, settings.DATA_DIR / "samples").items():
        call_command("import_csv", kind, path, verbosity=0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vppportal.prepare", description="Prepare a start of the portal.")
    parser.add_argument("--sample-company", type=int, metavar="SEED", help="import the simulator's people and devices")
    options = parser.parse_args()
    django.setup()
    try:
        connection.ensure_connection()
    except utils.OperationalError as error:
        sys.exit(f"The database cannot be used: {str(error).strip()}")
    migrate()
    collect_static()
    holds = first_password_holds((settings.DATA_DIR / "admin-password").read_text().strip())
    if options.sample_company is not None:
        load_sample_company(options.sample_company)
    print(json.dumps({"administrator": ADMINISTRATOR, "first_password_holds": holds}))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vppportal.settings")
    main()
