"""Notifications: what they hold, and how they are delivered or not."""

from __future__ import annotations

import pytest

from tests.processes import eventually


def associate(mdm, count=1, app=None):
    app = app or mdm.an_app(totalCount=250)
    serials = [f"N{n}" for n in range(count)]
    return mdm.event(
        "/assets/associate", assets=[{"adamId": app["adamId"], "pricingParam": "STDQ"}], serialNumbers=serials
    )


def test_a_success_names_the_assignments_and_the_event(mdm, subscribed):
    app = mdm.an_app(totalCount=250)
    queued = mdm.post("/assets/associate", assets=[{"adamId": app["adamId"]}], serialNumbers=["A"])
    mdm.sim.control("settle")
    (told,) = subscribed.received
    assert set(told) == {"notificationId", "notificationType", "uId", "notification"}
    assert (told["notificationType"], told["uId"]) == ("ASSET_MANAGEMENT", queued["uId"])
    assert told["notification"] == {
        "assignments": [{"adamId": app["adamId"], "pricingParam": "STDQ", "serialNumber": "A"}],
        "eventId": queued["eventId"],
        "type": "ASSOCIATE",
        "result": "SUCCESS",
    }
    assert subscribed.bearers[-1] == "Bearer hush"


def test_150_assignments_come_in_two_parts_of_one_event(mdm, subscribed):
    associate(mdm, 150)
    sizes = [len(one["notification"]["assignments"]) for one in subscribed.received]
    assert sizes == [100, 50]
    assert len({one["notification"]["eventId"] for one in subscribed.received}) == 1
    assert len({one["notificationId"] for one in subscribed.received}) == 2


def test_a_failure_carries_one_error_and_may_mix_devices_and_users(mdm, subscribed, sim):
    sim.control("events", failing={"A": 9603, "B": 9603})
    app = mdm.an_app(totalCount=250)
    user = next(user["clientUserId"] for user in mdm.walk("/users", "users") if user["status"] == "Associated")
    sim.control("events", failing={"A": 9603, user: 9603})
    mdm.event("/assets/associate", assets=[{"adamId": app["adamId"]}], serialNumbers=["A"], clientUserIds=[user])
    (told,) = subscribed.received
    assert told["notification"]["result"] == "FAILURE"
    assert told["notification"]["error"]["errorNumber"] == 9603
    assert [set(row) - {"adamId", "pricingParam"} for row in told["notification"]["assignments"]] == [
        {"serialNumber"},
        {"clientUserId"},
    ]


def test_users_are_told_of_with_status_and_code(mdm, subscribed):
    mdm.event("/users/create", users=[{"clientUserId": "new", "email": "new@elsewhere.example"}])
    (told,) = subscribed.of("USER_MANAGEMENT")
    (user,) = told["notification"]["users"]
    assert (told["notification"]["type"], told["notification"]["result"]) == ("CREATE", "SUCCESS")
    assert (user["status"], bool(user["inviteCode"])) == ("Registered", True)


def test_accepting_an_invitation_is_told(mdm, subscribed, sim):
    invited = next(user for user in mdm.walk("/users", "users") if user["status"] == "Registered")
    sim.control("accept", location="business", clientUserId=invited["clientUserId"])
    sim.control("settle")
    (user,) = subscribed.of("USER_ASSOCIATED")[0]["notification"]["associatedUsers"]
    assert user["status"] == "Associated"
    assert user["inviteCode"] == invited["inviteCode"]
    assert user["idHash"]


@pytest.mark.parametrize("count", [5, -3])
def test_purchases_and_refunds_are_told_as_a_difference(mdm, subscribed, sim, count):
    app = mdm.ordinary()
    sim.control("buy", location="business", adamId=app["adamId"], count=count)
    sim.control("settle")
    (told,) = subscribed.of("ASSET_COUNT")
    assert told["notification"] == {"adamId": app["adamId"], "pricingParam": "STDQ", "countDelta": count}


def test_only_subscribed_types_are_sent(mdm, subscribed, sim):
    mdm.post("/client/config", notificationTypes=["ASSET_COUNT"])
    associate(mdm)
    assert subscribed.received == []


def test_a_refused_notification_is_tried_three_times_and_then_lost(mdm, subscribed, sim):
    sim.control("notifications", retrySeconds=0.01)
    subscribed.statuses = [500, 500, 200, 503, 503, 503]
    associate(mdm)
    associate(mdm)
    assert eventually(lambda: len(subscribed.received) == 6)
    sim.control("settle")
    states = [(one["state"], one["statuses"]) for one in sim.world.notifications.report()]
    assert states == [("delivered", [500, 500, 200]), ("lost", [503, 503, 503])]


def test_delivered_twice_means_the_same_id(mdm, subscribed, sim):
    sim.control("notifications", mode="twice")
    associate(mdm)
    assert len(subscribed.received) == 2
    assert subscribed.received[0] == subscribed.received[1]


def test_never_means_not_before_it_is_released(mdm, subscribed, sim):
    sim.control("notifications", mode="never")
    assert associate(mdm)["eventStatus"] == "COMPLETE"
    assert subscribed.received == []
    assert sim.control("release-notifications") == {"released": 1}
    sim.control("settle")
    assert len(subscribed.received) == 1


def test_late_means_after_some_seconds(mdm, subscribed, sim):
    sim.control("notifications", mode="late", seconds=30)
    associate_without_waiting(mdm)
    assert eventually(lambda: sim.world.notifications.timetable.waiting() == 1)
    assert subscribed.received == []


def associate_without_waiting(mdm):
    app = mdm.an_app(totalCount=250)
    mdm.post("/assets/associate", assets=[{"adamId": app["adamId"]}], serialNumbers=["A"])


def test_disorder_delivers_everything_in_another_order(mdm, subscribed, sim):
    sim.control("notifications", mode="disorder", seconds=1.0)
    app = mdm.ordinary()
    for number in range(8):
        sim.control("buy", location="business", adamId=app["adamId"], count=number + 1)
    sim.control("settle")
    deltas = [one["notification"]["countDelta"] for one in subscribed.received]
    assert sorted(deltas) == list(range(1, 9))
    assert deltas != sorted(deltas)


def test_any_notification_can_be_sent_right_or_wrong(mdm, subscribed, sim):
    sim.control("notify", location="business", type="RUMOR", content={"x": 1}, envelope={"uId": "1"}, authToken="wrong")
    sim.control("settle")
    (told,) = subscribed.received
    assert (told["notificationType"], told["uId"], told["notification"]) == ("RUMOR", "1", {"x": 1})
    assert subscribed.bearers[-1] == "Bearer wrong"
