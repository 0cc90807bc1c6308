"""The timetable's keeper: RedBeat, so that several beats may run and one acts, made to outlive a flushed Redis."""

from __future__ import annotations

from typing import Any, Final

import structlog
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis
from redis.exceptions import ConnectionError as RedisUnreachable
from redis.exceptions import LockNotOwnedError

log = structlog.get_logger(__name__)
PAUSE_SECONDS: Final = 5.0


class Timetable(RedBeatScheduler):
    """RedBeat keeps its lock and entries in Redis and ends when they are gone; this writes them anew."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; return the seconds until the next look."""
        try:
            if not get_redis(self.app).exists(self.app.redbeat_conf.statics_key):
                log.warning("timetable_forgotten")
                self.setup_schedule()
            seconds: float = super().tick(*args, **kwargs)
        except RedisUnreachable:
            log.warning("timetable_without_broker")
            return PAUSE_SECONDS
        except LockNotOwnedError:
            # Another beat may be quicker: then this waits until that one is gone.
            self.lock.acquire()
            return 0.0
        return seconds
