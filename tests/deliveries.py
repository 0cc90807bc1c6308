"""Be the worker: take messages out of the broker and carry them out in this process - all, twice, or none."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from queue import Empty
from typing import Any

from vppportal.celery import app

Message = tuple[str, tuple[int, ...]]


def taken() -> Iterator[Message]:
    """Yield what waits in the broker, task and arguments, taking it out."""
    pool: Any = app.pool  # its types take a pool of connections for one of producers
    with pool.acquire(block=True) as connection, connection.SimpleQueue(app.conf.task_default_queue) as queue:
        while True:
            try:
                message = queue.get_nowait()
            except Empty:
                return
            message.ack()
            arguments, _options, _embedded = message.payload
            yield message.headers["task"], tuple(arguments)


def deliver(*, times: int = 1, disorder: random.Random | None = None) -> Counter[str]:
    """Carry out what was asked for, and what that asks for, until nothing is left; return how often each task ran."""
    ran: Counter[str] = Counter()
    while messages := list(taken()) * times:
        if disorder:
            disorder.shuffle(messages)
        run(messages)
        ran.update(task for task, _ in messages)
    return ran


def run(messages: Iterable[Message]) -> None:
    """Carry out messages as they come."""
    app.autodiscover_tasks(force=True)
    for task, arguments in messages:
        app.tasks[task](*arguments)


def sweep() -> None:
    """Let the timetable's sweepers look for work, once."""
    run([(f"{app}.tasks.sweep", ()) for app in ("vppportal.groups", "tokens", "catalog")])
