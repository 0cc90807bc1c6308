"""Trouble on order acts on the calls it names and on no others."""

from __future__ import annotations

import base64
import gzip
import time

import pytest
import requests


def statuses(mdm, count, path="/assets"):
    return [mdm.ask("GET", path).status_code for _ in range(count)]


def test_the_nth_call_of_a_path_fails(mdm, sim):
    sim.control("faults", path="/assets", nth=2, errorNumber=9603)
    mdm.get("/users")
    assert statuses(mdm, 3) == [200, 500, 200]


def test_it_may_fail_several_times_or_for_ever(mdm, sim):
    sim.control("faults", path="/assets", times=2, errorNumber=9729)
    assert statuses(mdm, 3) == [503, 503, 200]
    sim.control("faults", path="/assets", times=-1, status=502)
    assert statuses(mdm, 3) == [502, 502, 502]


def test_it_may_be_about_one_location_or_one_method(mdm, other, sim):
    sim.control("faults", location="school", times=-1, errorNumber=9625)
    assert (statuses(mdm, 1), statuses(other("school"), 1)) == ([200], [401])
    sim.control("faults", path="/client/config", method="POST", errorNumber=9603)
    assert mdm.ask("GET", "/client/config").status_code == 200
    assert mdm.ask("POST", "/client/config", json={}).status_code == 500


def test_an_error_may_hide_in_an_answer_with_the_status_200(mdm, sim):
    sim.control("faults", path="/assets", status=200, errorNumber=9622)
    answer = mdm.ask("GET", "/assets")
    assert (answer.status_code, answer.json()["errorNumber"]) == (200, 9622)


def test_429_may_carry_any_retry_after(mdm, sim):
    for value in ("120", "Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-5"):
        sim.control("faults", errorNumber=9646, headers={"Retry-After": value})
        answer = mdm.ask("GET", "/assets")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, value)


def test_a_body_may_be_anything(mdm, sim):
    sim.control("faults", status=502, body="<html>Bad gateway</html>")
    answer = mdm.ask("GET", "/assets")
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (
        502,
        "<html>Bad gateway</html>",
        "text/html",
    )
    sim.control("faults", body="")
    assert mdm.ask("GET", "/assets").content == b""
    sim.control("faults", body=[1, 2])
    assert mdm.ask("GET", "/assets").json() == [1, 2]
    sim.control("faults", bodySize=3_000_000)
    assert len(mdm.ask("GET", "/assets").content) == 3_000_000


def test_a_body_may_be_compressed(mdm, sim):
    packed = base64.b64encode(gzip.compress(b"0" * 1_000_000)).decode()
    sim.control("faults", bodyBase64=packed, headers={"Content-Encoding": "gzip"})
    assert mdm.ask("GET", "/assets").content == b"0" * 1_000_000


@pytest.mark.parametrize(("drop", "size"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_may_have_done_its_work_or_not(mdm, sim, drop, size):
    app = mdm.ordinary()
    sim.control("faults", path="/assets/associate", drop=drop)
    with pytest.raises(requests.ConnectionError):
        mdm.post("/assets/associate", assets=[{"adamId": app["adamId"]}], serialNumbers=["LOST"])
    sim.control("settle")
    assert mdm.get("/assignments", serialNumber="LOST")["size"] == size


def test_a_call_may_be_carried_out_although_its_answer_is_an_error(mdm, sim):
    sim.control("faults", path="/client/config", apply=True, errorNumber=9603)
    claim = {"id": "1", "name": "Portal", "metadata": "here"}
    assert mdm.error("/client/config", mdmInfo=claim) == (500, 9603)
    assert mdm.get("/client/config")["mdmInfo"] == claim


def test_members_of_a_real_answer_may_be_changed_or_left_out(mdm, sim):
    sim.control("faults", path="/assets", merge={"nextPageIndex": "1", "mdmInfo": None}, remove=["assets", "versionId"])
    answer = mdm.get("/assets")
    assert (answer["nextPageIndex"], answer["mdmInfo"], answer["currentPageIndex"]) == ("1", None, 0)
    assert not {"assets", "versionId"} & set(answer)


def test_an_answer_may_break_off(mdm, sim):
    sim.control("faults", path="/assets", truncate=100)
    with pytest.raises(requests.RequestException):
        mdm.get("/assets")
    assert mdm.get("/assets")["size"] == 50


def test_answers_may_take_longer(mdm, sim):
    sim.control("latency", seconds=0.05, path="/users")
    started = time.monotonic()
    statuses(mdm, 2, "/users")
    assert time.monotonic() - started >= 0.1


def test_the_lookup_and_icons_can_fail_too(mdm, sim):
    adam_id = mdm.an_app()["adamId"]
    sim.control("faults", path="/metadata/lookup", status=403)
    assert requests.get(f"{sim.url}/metadata/lookup", timeout=5).status_code == 403
    sim.control("faults", path=f"/icons/{adam_id}/64x64bb.png", status=404)
    assert requests.get(f"{sim.url}/icons/{adam_id}/64x64bb.png", timeout=5).status_code == 404


def test_a_misspelled_order_is_refused(sim):
    with pytest.raises(ValueError, match="error_numbr"):
        sim.control("faults", errorNumbr=9603)


@pytest.mark.parametrize("path", ["assets", "", "*/assets"])
def test_an_order_for_a_path_that_no_request_has_is_refused(sim, path):
    with pytest.raises(ValueError, match="no request has it"):
        sim.control("faults", path=path, status=503)


def test_orders_can_be_read_and_taken_back(mdm, sim):
    sim.control("faults", path="/assets", times=-1, errorNumber=9603)
    statuses(mdm, 2)
    (fault,) = requests.get(f"{sim.control_url}/faults", timeout=5).json()["faults"]
    assert (fault["seen"], fault["acted"]) == (2, 2)
    requests.delete(f"{sim.control_url}/faults", timeout=5)
    assert statuses(mdm, 1) == [200]
