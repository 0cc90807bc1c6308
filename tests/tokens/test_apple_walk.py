"""Walking through pages: in order, a few at once, and never fooled by a list that moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from tests.processes import eventually
from tests.tokens.scripted import Asked, Reply
from tokens.apple import AppleUnavailable, ClaimedElsewhere, PageOutOfRange, TokenRejected, Walk


def row(index: int, number: int) -> dict[str, str]:
    return {"adamId": "1", "pricingParam": "STDQ", "serialNumber": f"P{index}N{number}"}


def page(index: int, total: int, rows: int = 2, **members: Any) -> dict[str, Any]:
    following = {"nextPageIndex": index + 1} if index + 1 < total else {}
    found = {
        "assignments": [row(index, number) for number in range(rows)],
        "currentPageIndex": index,
        "size": rows,
        "totalPages": total,
        "versionId": "v1",
        **following,
        **members,
    }
    return {key: value for key, value in found.items() if value is not None}


def book(total: int, changes: dict[int, dict[str, Any]] | None = None) -> Callable[[Asked], Reply]:
    """Serve a list of pages, some of them changed; a page beyond the end is out of range."""

    def script(asked: Asked) -> Reply:
        index = int(asked.query.get("pageIndex", 0))
        if index >= total:
            return Reply({"errorNumber": 9650, "errorMessage": "out of range"}, 400)
        return Reply(page(index, total, **(changes or {}).get(index, {})))

    return script


def walked(client) -> tuple[Walk, list[int]]:
    walk = Walk(client.assignments())
    return walk, [page.index for page in walk]


def test_all_pages_come_in_order_and_the_walk_is_clean(client, apple):
    apple.script = book(40)
    walk = Walk(client.assignments())
    serials = [item.serial_number for page in walk for item in page.items]
    assert serials == [f"P{index}N{number}" for index in range(40) for number in range(2)]
    assert (walk.is_clean, walk.first_version, walk.total_pages, walk.rows) == (True, "v1", 40, 80)


def test_the_log_of_every_page_names_the_task_that_asked_for_it(client, apple):
    apple.script = book(10)
    with (
        structlog.contextvars.bound_contextvars(task_id="abc-123"),
        capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs,
    ):
        walked(client)
    assert [line["task_id"] for line in logs if line["event"] == "apple_call"] == ["abc-123"] * 10


def test_the_first_page_is_asked_for_without_an_index_and_each_page_once(client, apple):
    apple.script = book(12)
    walked(client)
    assert "pageIndex" not in apple.asked[0].query
    assert sorted(int(asked.query["pageIndex"]) for asked in apple.asked[1:]) == list(range(1, 12))


def test_at_most_five_pages_are_read_at_once_and_really_in_parallel(client, apple):
    apple.script = book(30)
    serve = apple.reply

    def slowly(asked: Asked) -> Reply:
        reply: Reply = serve(asked)
        reply.delay = 0.03
        return reply

    apple.reply = slowly
    walked(client)
    assert 2 < apple.most_at_once <= 5


def test_a_slow_consumer_is_not_overtaken_by_more_than_five_pages(client, apple):
    apple.script = book(60)
    for page in client.assignments():
        if page.index == 10:
            time.sleep(0.2)
            assert len(apple.asked) <= 11 + 5
        if page.index == 11:
            break


def test_a_walk_given_up_asks_for_nothing_more(client, apple):
    apple.script = book(1000)
    for page in client.assignments():
        if page.index == 3:
            break
    time.sleep(1.0)  # what was under way when the walk ended
    asked = len(apple.asked)
    time.sleep(0.2)
    assert len(apple.asked) == asked <= 10


def test_no_thread_is_left_behind(connect, apple):
    apple.script = book(20)
    with connect() as client:
        walked(client)
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("apple")])


def test_one_page_without_any_paging_member_is_a_whole_list(client, apple):
    apple.script = [Reply({"assignments": [row(0, 0)]})]
    walk, indexes = walked(client)
    assert (indexes, walk.is_clean, walk.first_version) == ([0], True, None)


@pytest.mark.parametrize("body", [{"assignments": []}, {"assignments": [], "size": 0, "totalPages": 1}, {"size": 0}])
def test_an_empty_list_is_a_clean_walk(client, apple, body):
    apple.script = [Reply(body)]
    walk, _ = walked(client)
    assert (walk.rows, walk.is_clean) == (0, True)


def test_a_missing_list_may_hide_rows_so_the_walk_is_not_clean(client, apple):
    apple.script = [Reply({"versionId": "v1", "totalPages": 1})]
    assert not walked(client)[0].is_clean


def test_a_page_that_promises_rows_and_has_no_list_is_unreadable(client, apple):
    apple.script = book(3, {1: {"assignments": None}})
    with pytest.raises(AppleUnavailable):
        walked(client)


@pytest.mark.parametrize("change", [{"size": 5}, {"versionId": "v2"}, {"currentPageIndex": 1}, {"versionId": None}])
def test_a_page_that_does_not_fit_makes_the_walk_unclean(client, apple, change):
    apple.script = book(4, {2: change})
    walk, indexes = walked(client)
    assert indexes == [0, 1, 2, 3]
    assert not walk.is_clean
    assert walk.first_version == "v1"


def test_pages_without_versions_cannot_be_known_to_show_one_state(client, apple):
    apple.script = book(3, {index: {"versionId": None} for index in range(3)})
    assert not walked(client)[0].is_clean


def test_a_walk_that_was_not_finished_is_not_clean(client, apple):
    apple.script = book(3)
    walk = Walk(client.assignments())
    next(iter(walk))
    assert not walk.is_clean


def test_an_empty_page_in_the_middle_ends_nothing(client, apple):
    apple.script = book(4, {1: {"assignments": [], "size": 0}})
    walk, indexes = walked(client)
    assert (indexes, walk.rows, walk.is_clean) == ([0, 1, 2, 3], 6, True)


def test_paging_members_may_be_texts(client, apple):
    total = 8
    texts = {
        index: {"nextPageIndex": str(index + 1) if index + 1 < total else None, "totalPages": str(total), "size": "2"}
        for index in range(total)
    }
    apple.script = book(total, texts)
    walk, indexes = walked(client)
    assert (indexes, walk.is_clean) == (list(range(8)), True)


@pytest.mark.parametrize("back", [2, 1, 0, "2", -1])
def test_a_page_that_leads_back_ends_in_an_error_not_in_a_loop(client, apple, back):
    apple.script = book(9, {2: {"nextPageIndex": back}})
    with pytest.raises(AppleUnavailable):
        walked(client)
    assert len(apple.asked) < 10


def test_a_last_page_that_leads_to_itself_is_the_last_page(client, apple):
    apple.script = book(4, {3: {"nextPageIndex": 3}})
    walk, indexes = walked(client)
    assert (indexes, walk.is_clean) == ([0, 1, 2, 3], True)


def test_skipped_pages_are_followed_but_not_trusted(client, apple):
    apple.script = book(30, {3: {"nextPageIndex": 6}, 8: {"nextPageIndex": 25}})
    walk, indexes = walked(client)
    assert indexes == [0, 1, 2, 3, 6, 7, 8, 25, 26, 27, 28, 29]
    assert not walk.is_clean


def test_a_list_that_shrinks_ends_where_its_pages_end(client, apple):
    apple.script = book(5, {0: {"totalPages": 50, "nextPageIndex": 1}})
    assert walked(client)[1] == [0, 1, 2, 3, 4]


def test_a_list_that_grows_is_walked_to_its_new_end(client, apple):
    apple.script = book(20, {0: {"totalPages": 2}, 1: {"totalPages": 2}})
    assert walked(client)[1] == list(range(20))


def test_an_end_short_of_the_promised_number_of_pages_is_not_clean(client, apple):
    apple.script = book(6, {3: {"nextPageIndex": None}})
    walk, indexes = walked(client)
    assert indexes == [0, 1, 2, 3]
    assert not walk.is_clean


def test_a_list_without_a_number_of_pages_is_walked_one_by_one(client, apple):
    apple.script = book(7, {index: {"totalPages": None} for index in range(7)})
    walk, indexes = walked(client)
    assert (indexes, walk.is_clean) == (list(range(7)), True)


def test_a_page_out_of_range_says_so(client, apple):
    apple.script = book(3, {2: {"nextPageIndex": 3, "totalPages": 4}})
    with pytest.raises(PageOutOfRange):
        walked(client)


def test_a_token_revoked_in_the_middle_stops_the_walk_there(client, apple):
    serve = book(20)

    def script(asked: Asked) -> Reply:
        if int(asked.query.get("pageIndex", 0)) >= 7:
            return Reply({"errorNumber": 9625, "errorMessage": "revoked"}, 401)
        return serve(asked)

    apple.script = script
    seen = []
    with pytest.raises(TokenRejected) as raised:
        for page in client.assignments():
            seen.append(page.index)
    assert (raised.value.number, seen) == (9625, list(range(7)))
    assert len(apple.asked) <= 12


def test_a_location_claimed_by_another_in_the_middle_stops_the_walk(connect, apple):
    ours, theirs = (
        {"id": "us", "name": "P", "metadata": "here"},
        {"id": "them", "name": "Other MDM", "metadata": "there"},
    )
    claims = {index: {"mdmInfo": theirs if index == 6 else [ours, None, {}][index % 3]} for index in range(12)}
    apple.script = book(12, claims)
    with pytest.raises(ClaimedElsewhere) as raised:
        walked(connect(mdm_id="us"))
    assert (raised.value.owner.id, raised.value.owner.name) == ("them", "Other MDM")


def test_filters_and_the_version_go_with_every_page(client, apple):
    apple.script = book(3)
    list(client.assignments(since="v0", adamId="7", excludeInactiveUsers=True))
    expected = {"sinceVersionId": "v0", "adamId": "7", "excludeInactiveUsers": "true"}
    assert all(asked.query.items() >= expected.items() for asked in apple.asked)
    assert len(apple.asked) == 3
