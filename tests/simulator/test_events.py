"""What queued requests do, how long they take, and how they fail in part."""

from __future__ import annotations

import pytest


def body_of(*apps, **targets):
    assets = [{"adamId": app["adamId"], "pricingParam": app["pricingParam"]} for app in apps]
    return {"assets": assets, **targets}


def people(mdm, count, status="Associated"):
    found = [user["clientUserId"] for user in mdm.walk("/users", "users") if user["status"] == status]
    return found[:count]


def refreshed(mdm, app):
    listed = mdm.get("/assets", adamId=app["adamId"], pricingParam=app["pricingParam"])["assets"]
    return listed[0]


@pytest.mark.alone
def test_an_event_is_pending_first_and_complete_later(mdm, sim):
    sim.control("events", seconds=0.2)
    queued = mdm.post("/assets/associate", **body_of(mdm.ordinary(), serialNumbers=["A"]))
    early = mdm.get("/status", eventId=queued["eventId"])
    assert (early["eventStatus"], early["numCompleted"], early["numRequested"]) == ("PENDING", 0, 1)
    sim.control("settle")
    late = mdm.get("/status", eventId=queued["eventId"])
    assert (late["eventStatus"], late["numCompleted"], late["eventType"]) == ("COMPLETE", 1, "ASSOCIATE")
    assert "failures" not in late


def test_associating_uses_licenses_up(mdm):
    app = mdm.ordinary()
    mdm.event("/assets/associate", **body_of(app, serialNumbers=["A", "B"]))
    after = refreshed(mdm, app)
    assert after["assignedCount"] == app["assignedCount"] + 2
    assert after["availableCount"] == app["availableCount"] - 2


def test_associating_again_costs_nothing(mdm):
    app = mdm.ordinary()
    for _ in range(2):
        assert mdm.event("/assets/associate", **body_of(app, serialNumbers=["A"]))["eventStatus"] == "COMPLETE"
    assert refreshed(mdm, app)["assignedCount"] == app["assignedCount"] + 1


def test_a_nonsense_serial_number_is_taken_as_a_success(mdm):
    status = mdm.event("/assets/associate", **body_of(mdm.ordinary(), serialNumbers=["no such device"]))
    assert (status["eventStatus"], status["numCompleted"]) == ("COMPLETE", 1)
    assert mdm.get("/assignments", serialNumber="no such device")["size"] == 1


def test_units_are_assets_times_targets_and_both_kinds_of_target_may_be_mixed(mdm):
    first, second = mdm.get("/assets", minAvailableCount=20, deviceAssignable="true")["assets"][:2]
    targets = {"serialNumbers": ["A", "B", "C", "D", "E"], "clientUserIds": people(mdm, 3)}
    assert mdm.event("/assets/associate", **body_of(first, second, **targets))["numRequested"] == 16


def test_a_failed_event_may_have_done_14_of_16(mdm):
    first, second = mdm.get("/assets", minAvailableCount=20, deviceAssignable="true")["assets"][:2]
    targets = {"serialNumbers": list("ABCDEFG"), "clientUserIds": ["nobody"]}
    status = mdm.event("/assets/associate", **body_of(first, second, **targets))
    assert (status["eventStatus"], status["numCompleted"], status["numRequested"]) == ("FAILED", 14, 16)
    (failure,) = status["failures"]
    assert failure["errorNumber"] == 9609
    assert failure["errorInfo"]["clientUserIds"] == ["nobody"]
    assert [asset["adamId"] for asset in failure["errorInfo"]["assets"]] == [first["adamId"], second["adamId"]]
    assert mdm.get("/assignments", adamId=first["adamId"], serialNumber="G")["size"] == 1


def test_when_licenses_run_out_the_rest_fails_with_9709(mdm, sim):
    app = mdm.ordinary()
    sim.control("run-dry", location="business", adamId=app["adamId"])
    sim.control("buy", location="business", adamId=app["adamId"], count=2)
    status = mdm.event("/assets/associate", **body_of(app, serialNumbers=["A", "B", "C"]))
    assert (status["eventStatus"], status["numCompleted"]) == ("FAILED", 2)
    assert status["failures"][0]["errorNumber"] == 9709
    assert status["failures"][0]["errorInfo"]["serialNumbers"] == ["C"]
    assert refreshed(mdm, app)["availableCount"] == 0


def test_an_app_the_location_does_not_own_has_no_licenses(mdm):
    status = mdm.event("/assets/associate", assets=[{"adamId": "999"}], serialNumbers=["A"])
    assert status["failures"][0]["errorNumber"] == 9709


def test_disassociating_frees_licenses_even_of_a_made_location(other):
    large = other("large")
    row = large.get("/assignments", pageIndex=3)["assignments"][7]
    before = large.get("/assets", adamId=row["adamId"])["assets"][0]
    target = (
        {"serialNumbers": [row["serialNumber"]]} if "serialNumber" in row else {"clientUserIds": [row["clientUserId"]]}
    )
    status = large.event("/assets/disassociate", assets=[{"adamId": row["adamId"], "pricingParam": "STDQ"}], **target)
    assert (status["eventStatus"], status["eventType"]) == ("COMPLETE", "DISASSOCIATE")
    assert large.get("/assets", adamId=row["adamId"])["assets"][0]["availableCount"] == before["availableCount"] + 1
    assert row not in large.walk("/assignments", "assignments")


def test_an_asset_without_pricing_means_the_one_that_is_owned(mdm, sim):
    adam_id = sim.control("add-app", location="business", pricingParam="PLUS")["adamId"]
    mdm.event("/assets/associate", assets=[{"adamId": adam_id}], serialNumbers=["A"])
    assert mdm.get("/assignments", adamId=adam_id)["assignments"][0]["pricingParam"] == "PLUS"


def test_revoking_takes_back_everything_revocable(mdm):
    book = mdm.an_app(productType="Book")
    reader = mdm.get("/assignments", adamId=book["adamId"])["assignments"][0]["clientUserId"]
    held = mdm.get("/assignments", clientUserId=reader)["assignments"]
    books = {asset["adamId"] for asset in mdm.get("/assets", productType="Book")["assets"]}
    status = mdm.event("/assets/revoke", clientUserIds=[reader])
    kept = mdm.get("/assignments", clientUserId=reader)["assignments"]
    assert (status["eventStatus"], status["eventType"]) == ("COMPLETE", "REVOKE")
    assert kept == [row for row in held if row["adamId"] in books] != []
    assert status["numRequested"] == len(held) - len(kept)


def test_creating_invites_or_associates_at_once(mdm):
    users = [
        {"clientUserId": "invited", "email": "someone@elsewhere.example"},
        {"clientUserId": "managed", "managedAppleId": "zoe@meridale.example"},
    ]
    assert mdm.event("/users/create", users=users)["eventStatus"] == "COMPLETE"
    invited, managed = (mdm.get("/users", clientUserId=name)["users"][0] for name in ("invited", "managed"))
    assert (invited["status"], bool(invited["inviteCode"])) == ("Registered", True)
    assert (managed["status"], bool(managed["idHash"])) == ("Associated", True)


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ({"managedAppleId": "zoe@another.example"}, 9635),
        ({"managedAppleId": "ada@meridale.example"}, 9641),
    ],
)
@pytest.mark.parametrize("path", ["/users/create", "/users/update"])
def test_an_account_must_be_of_the_organization_and_free(mdm, path, user, number):
    client_user_id = people(mdm, 1, "Registered")[0] if path.endswith("update") else "new"
    status = mdm.event(path, users=[{"clientUserId": client_user_id, **user}])
    assert (status["eventStatus"], status["numCompleted"]) == ("FAILED", 0)
    assert status["failures"][0]["errorNumber"] == number
    assert status["failures"][0]["errorInfo"] == {"clientUserIds": [client_user_id]}


def test_an_id_in_use_cannot_be_created_again_but_after_retiring_it_can(mdm):
    (user_id,) = people(mdm, 1)
    status = mdm.event("/users/create", users=[{"clientUserId": user_id}, {"clientUserId": "fresh"}])
    assert (status["numCompleted"], status["failures"][0]["errorNumber"]) == (1, 9716)
    mdm.event("/users/retire", users=[{"clientUserId": user_id}])
    assert mdm.event("/users/create", users=[{"clientUserId": user_id}])["eventStatus"] == "COMPLETE"
    rows = mdm.get("/users", clientUserId=user_id)["users"]
    assert [row["status"] for row in rows] == ["Retired", "Registered"]


def test_updating_changes_the_address_and_may_associate(mdm):
    (user_id,) = people(mdm, 1, "Registered")
    mdm.event("/users/update", users=[{"clientUserId": user_id, "email": "other@elsewhere.example"}])
    assert mdm.get("/users", clientUserId=user_id)["users"][0]["email"] == "other@elsewhere.example"
    mdm.event("/users/update", users=[{"clientUserId": user_id, "managedAppleId": "zoe@meridale.example"}])
    assert mdm.get("/users", clientUserId=user_id)["users"][0]["status"] == "Associated"


def test_retiring_frees_what_can_come_back_and_counts_the_rest_as_retired(mdm):
    book = mdm.an_app(productType="Book")
    reader = mdm.get("/assignments", adamId=book["adamId"])["assignments"][0]["clientUserId"]
    mdm.event("/users/retire", users=[{"clientUserId": reader}])
    left = mdm.get("/assignments", clientUserId=reader, includeUserState="true")["assignments"]
    assert {row["userStatus"] for row in left} == {"Retired"}
    assert refreshed(mdm, book)["retiredCount"] == book["retiredCount"] + 1
    assert mdm.get("/assignments", clientUserId=reader, excludeInactiveUsers="true")["size"] == 0


def test_the_following_event_can_be_ordered_to_fail_in_part(mdm, sim):
    sim.control("events", following=[{"fail": 1, "errorNumber": 9644}])
    status = mdm.event("/assets/associate", **body_of(mdm.ordinary(), serialNumbers=["A", "B"]))
    assert (status["numCompleted"], status["failures"][0]["errorNumber"]) == (1, 9644)
    assert mdm.event("/assets/associate", **body_of(mdm.ordinary(), serialNumbers=["A", "B"]))["numCompleted"] == 2


def test_targets_can_be_ordered_to_fail_always(mdm, sim):
    sim.control("events", failing={"BROKEN": 9603, "unlucky": 9635})
    status = mdm.event("/assets/associate", **body_of(mdm.ordinary(), serialNumbers=["A", "BROKEN"]))
    assert status["failures"][0]["errorInfo"]["serialNumbers"] == ["BROKEN"]
    users = mdm.event("/users/create", users=[{"clientUserId": "unlucky"}, {"clientUserId": "lucky"}])
    assert users["failures"][0]["errorNumber"] == 9635


def test_an_event_can_be_ordered_to_stay_pending_until_released(mdm, sim):
    sim.control("events", following=[{"pending": True}])
    queued = mdm.post("/assets/associate", **body_of(mdm.ordinary(), serialNumbers=["A"]))
    sim.control("settle")
    assert mdm.get("/status", eventId=queued["eventId"])["eventStatus"] == "PENDING"
    assert sim.control("release-events") == {"released": 1}
    sim.control("settle")
    assert mdm.get("/status", eventId=queued["eventId"])["eventStatus"] == "COMPLETE"


def test_an_event_can_be_ordered_to_be_forgotten_although_it_is_carried_out(mdm, sim):
    sim.control("events", following=[{"forget": True}])
    status = mdm.event("/assets/associate", **body_of(mdm.ordinary(), serialNumbers=["LOST"]))
    assert status["errorNumber"] == 9708
    assert mdm.get("/assignments", serialNumber="LOST")["size"] == 1


def test_assignments_may_be_listed_later_than_the_event_says_complete(mdm, sim):
    sim.control("events", lag=0.8)
    app = mdm.ordinary()
    queued = mdm.post("/assets/associate", **body_of(app, serialNumbers=["LATE"]))
    while mdm.get("/status", eventId=queued["eventId"])["eventStatus"] == "PENDING":
        pass
    assert mdm.get("/assignments", serialNumber="LATE")["size"] == 0
    assert refreshed(mdm, app)["assignedCount"] == app["assignedCount"] + 1
    sim.control("settle")
    assert mdm.get("/assignments", serialNumber="LATE")["size"] == 1
