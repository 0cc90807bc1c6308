"""`manage.py import_csv people people.csv`: bring in a CSV file without the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from vppportal.groups.csvfile import Unreadable
from vppportal.groups.importing import load
from vppportal.groups.models import ImportKind


class Command(BaseCommand):
    help = "Import user groups, people or devices from a CSV file; what is in it already is brought up to date."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=ImportKind.values)
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, kind: str, file: Path, **options: Any) -> None:
        """Import the file and say how many rows were taken."""
        try:
            job = load(ImportKind(kind), file)
        except (OSError, Unreadable) as error:
            raise CommandError(str(error)) from error
        if options["verbosity"]:
            self.stdout.write(f"{job.new} new, {job.changed} changed, {job.same} as they were, {job.bad} not taken.")
