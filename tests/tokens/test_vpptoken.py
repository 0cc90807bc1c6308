"""Reading token files: what is taken, and the sentence for everything that is not."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from datetime import UTC, datetime

import pytest

from tokens.vpptoken import MAX_BYTES, SENTENCES, BadTokenFile, read

NOW = datetime(2026, 11, 1, tzinfo=UTC)
INNER = "c2VjcmV0IGlubmVyIHZhbHVlIG9mIGEgdG9rZW4sIGxvbmcgZW5vdWdo"
TOKEN = {"token": INNER, "expDate": "2027-06-30T12:00:00+0000", "orgName": "Alder & Sons"}


def packed(inner: object) -> bytes:
    text = (
        inner if isinstance(inner, bytes) else inner.encode() if isinstance(inner, str) else json.dumps(inner).encode()
    )
    return base64.b64encode(text)


def refusal(data: bytes) -> BadTokenFile:
    with pytest.raises(BadTokenFile) as refused:
        read(data, now=NOW)
    return refused.value


def code(data: bytes) -> str:
    return refusal(data).code


def with_member(**members: object) -> bytes:
    return packed({**TOKEN, **members})


def test_a_token_file_is_read():
    token = read(packed(TOKEN), now=NOW)
    assert token.secret.reveal() == packed(TOKEN).decode()
    assert token.organization == "Alder & Sons"
    assert token.expires_at == datetime(2027, 6, 30, 12, tzinfo=UTC)
    assert not token.is_expired(NOW)


def test_the_bearer_is_the_whole_file_not_the_inner_token():
    assert read(packed(TOKEN), now=NOW).secret.reveal() != INNER


@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data + b"\n",
        lambda data: data + b"\r\n\r\n",
        lambda data: b"  \t" + data + b"  ",
        lambda data: b"\n".join(data[at : at + 64] for at in range(0, len(data), 64)),
        lambda data: b"\r\n".join(data[at : at + 76] for at in range(0, len(data), 76)) + b"\r\n",
    ],
    ids=["byte order mark", "line feed", "line ends", "spaces", "wrapped", "wrapped for mail"],
)
def test_wrapping_is_forgiven_and_does_not_change_the_secret(wrap):
    plain, wrapped = read(packed(TOKEN), now=NOW), read(wrap(packed(TOKEN)), now=NOW)
    assert wrapped.secret == plain.secret


def test_members_may_stand_in_any_order_and_among_others():
    token = read(packed(json.dumps({"extra": [1, {"x": None}], **dict(reversed(TOKEN.items()))}, indent=2)), now=NOW)
    assert token.organization == "Alder & Sons"


@pytest.mark.parametrize("name", ["云杉公司", "🌲 Spruce 👩‍🔬", "<script>alert(1)</script>", "=cmd|'/C calc'!A0"])
def test_an_organization_may_be_called_anything(name):
    assert read(with_member(orgName=name), now=NOW).organization == name


def test_line_ends_and_direction_marks_in_a_name_become_spaces():
    assert read(with_member(orgName=" Alder\r\nBcc: x\u202egpj "), now=NOW).organization == "Alder Bcc: x gpj"


def test_a_very_long_name_is_cut():
    assert len(read(with_member(orgName="x" * 30_000), now=NOW).organization) == 250


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-11-08T22:33:22+0000", datetime(2030, 11, 8, 22, 33, 22, tzinfo=UTC)),
        ("2030-11-08T22:33:22-0700", datetime(2030, 11, 9, 5, 33, 22, tzinfo=UTC)),
        ("2030-11-08T22:33:22+05:30", datetime(2030, 11, 8, 17, 3, 22, tzinfo=UTC)),
        ("2030-11-08T22:33:22Z", datetime(2030, 11, 8, 22, 33, 22, tzinfo=UTC)),
        ("2030-11-08T22:33:22.123Z", datetime(2030, 11, 8, 22, 33, 22, tzinfo=UTC)),
    ],
)
def test_every_way_of_writing_the_date_is_read(text, expected):
    assert read(with_member(expDate=text), now=NOW).expires_at == expected


def test_an_expired_file_is_read_and_says_so():
    token = read(with_member(expDate="2014-08-15T18:13:52-0700"), now=NOW)
    assert token.is_expired(NOW)


@pytest.mark.parametrize(
    "text",
    [
        "rubbish",
        "2030-11-08",
        "2030-11-08T22:33:22",
        "2030-13-08T22:33:22+0000",
        "2030-11-08T22:33:60+0000",
        "0001-01-01T00:00:00+0000",
        "9999-12-31T23:59:59-1400",
        "9999-12-31T23:59:59+0000",
        "2030-11-08T22:33:22+9900",
        "٢٠٣٠-11-08T22:33:22+0000",
    ],
)
def test_a_date_that_cannot_be_read_is_refused(text):
    assert code(with_member(expDate=text)) == "bad_date"


@pytest.mark.parametrize("member", ["token", "expDate", "orgName"])
def test_each_member_must_be_there_and_be_a_text(member):
    rest = {name: value for name, value in TOKEN.items() if name != member}
    assert code(packed(rest)) == f"missing_{member}"
    wrong: list[object] = [None, 5, 1.5, True, [], {}, ["x"]]
    assert {code(with_member(**{member: value})) for value in wrong} == {f"wrong_{member}"}
    assert {code(with_member(**{member: value})) for value in ("", "   ", "\n")} == {f"empty_{member}"}


DEEP = "[" * 1000 + "]" * 1000
WRONG_FILES = {
    "empty": b"",
    "too_large": b"A" * (MAX_BYTES + 1),
    "p7m": b"MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nMIAGCSqGSIb3",
    "pem": b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "zip": b"PK\x03\x04\x14\x00\x08\x00",
    "pdf": b"%PDF-1.7\n%\xe2\xe3",
    "image": b"\x89PNG\r\n\x1a\n\x00\x00",
    "html": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "utf16": packed(TOKEN).decode().encode("utf-16"),
    "decoded": json.dumps(TOKEN).encode(),
    "url_safe": base64.urlsafe_b64encode(json.dumps({**TOKEN, "orgName": "???>>>~~~"}, ensure_ascii=False).encode()),
    "not_base64": packed(TOKEN)[:40] + b"###" + packed(TOKEN)[40:],
    "cut_off": packed(TOKEN)[:-2],
    "inner_token": base64.b64encode(bytes(range(128, 192))),
    "twice_encoded": base64.b64encode(packed(TOKEN)),
    "not_utf8": base64.b64encode(bytes(range(128, 140))),
    "not_json": packed("This is no token at all."),
    "duplicate_keys": packed('{"token": "a", "token": "b", "expDate": "x", "orgName": "y"}'),
    "bad_number": packed('{"token": "a", "expDate": "x", "orgName": "y", "z": NaN}'),
    "long_number": packed('{"token": "a", "expDate": "x", "orgName": "y", "z": ' + "9" * 5000 + "}"),
    "too_deep": packed('{"token": "a", "expDate": "x", "orgName": "y", "z": ' + DEEP + "}"),
    "not_object": packed("[1, 2, 3]"),
    "bad_text": with_member(orgName="Alder\x00"),
    "bad_date": with_member(expDate="soon"),
}


@pytest.mark.parametrize("expected", WRONG_FILES)
def test_each_wrong_file_has_its_own_sentence(expected):
    refused = refusal(WRONG_FILES[expected])
    assert refused.code == expected
    assert refused.sentence == SENTENCES[expected]
    assert "upload" in refused.sentence or "Content tokens are downloaded" in refused.sentence


def test_every_sentence_is_tried_and_no_two_are_alike():
    assert set(WRONG_FILES) == set(SENTENCES)
    assert len(set(SENTENCES.values())) == len(SENTENCES)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b" \r\n\t ", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"A", "cut_off"),
        (b"A" * MAX_BYTES, "not_json"),
        (b"!", "not_base64"),
        (b"\xff\xd8\xff\xe0\x00", "image"),
        (b"\x30\x80\x06\x09*\x86H", "p7m"),
        (base64.b64encode(b"\x30\x82\x01\x00\x06\x09*\x86H\x86"), "p7m"),
        (packed(TOKEN).decode().encode("utf-16-le"), "utf16"),
        (packed(TOKEN).decode().encode("utf-16-be"), "utf16"),
        (packed(TOKEN).decode().encode("utf-32"), "utf16"),
        (json.dumps([TOKEN]).encode(), "decoded"),
        (packed('"just a text"'), "not_object"),
        (packed("null"), "not_object"),
        (packed("17"), "not_object"),
        (packed('{"token": "a"} trailing'), "not_json"),
        (packed('{"token": "a", "expDate": "x", "orgName": "y", "z": Infinity}'), "bad_number"),
        (packed('{"token": "a", "expDate": "x", "orgName": "y", "z": -Infinity}'), "bad_number"),
        (packed('{"token": "a", "expDate": "x", "orgName": "y", "z": 1e999}'), "bad_number"),
        (packed('{"token": "a", "expDate": "x", "orgName": "y", "z": {"b": 1, "b": 2}}'), "duplicate_keys"),
        (packed('{"token": "\\ud800", "expDate": "x", "orgName": "y"}'), "bad_text"),
        (packed('{"token": "a", "expDate": "\\u0000", "orgName": "y"}'), "bad_text"),
        (base64.b64encode(json.dumps(TOKEN).encode("utf-16")), "inner_token"),
        (packed(TOKEN)[:-4], "not_json"),
        (with_member(orgName="\u202e\u200f"), "empty_orgName"),
    ],
)
def test_odd_files_are_named_for_what_they_are(data, expected):
    assert code(data) == expected


def test_base64_with_stray_bits_at_its_end_is_no_token():
    texts = (with_member(orgName="x" * length) for length in range(1, 4))
    text = next(text for text in texts if text.endswith(b"=="))
    assert code(text[:-3] + bytes([text[-3] + 1]) + b"==") == "not_base64"


def test_brackets_inside_texts_are_not_nesting():
    assert read(with_member(orgName="[{" * 500 + '"'), now=NOW).organization.startswith("[{[{")


@pytest.mark.alone
def test_no_file_takes_long_or_much_memory():
    worst = [
        *WRONG_FILES.values(),
        b"A" * MAX_BYTES,
        packed('"' + "\\" * 40_000),
        packed("[" * 48_000),
        packed('"a",' * 12_000),
    ]
    for data in worst:
        tracemalloc.start()
        begun = time.perf_counter()
        refusal(data[: MAX_BYTES + 1])
        seconds, (_, peak) = time.perf_counter() - begun, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seconds < 0.2
        assert peak < 20_000_000


def test_a_refusal_quotes_nothing_of_the_file():
    for data in (packed(TOKEN)[:-2], with_member(expDate="canary-7f3a"), with_member(orgName=["canary-7f3a"])):
        refused = refusal(data)
        assert "canary" not in repr(refused) + str(refused)
        assert INNER[:12] not in repr(refused)


def test_a_token_shows_its_secret_nowhere():
    token = read(packed(TOKEN), now=NOW)
    assert packed(TOKEN).decode()[:12] not in repr(token) + str(token) + f"{token.secret} {token.secret!r}"
