"""The Celery application; its settings and timetable are in settings.py."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vppportal.settings")

app = Celery("vppportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
# RedBeat looks for its settings under their plain names only.
app.conf.update(
    redbeat_redis_url=settings.REDIS_URL,
    redbeat_redis_options={"socket_timeout": 15, "socket_keepalive": True},
    redbeat_lock_timeout=settings.BEAT_LOCK_SECONDS,
)
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def keep_django_logging(**kwargs: Any) -> None:
    """Leave logging as Django configured it: one format, one request id, from the page to the task."""
