import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from common.dynamo import Put
from common.errors import AppError, TooManyRequests
from common.http import ServiceApp
from common.idempotency import Once
from common.models import Model
from common.principals import Principal
from common.queries import Paging, Reading
from common.requests import MAX_BODY_BYTES
from common.service import table
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from tests.service import Answer, Service, running, user
from tests.strategies import json_values


class Thing(Model):
    name: str = Field(min_length=1, max_length=20)
    count: int = 0
    ratio: float = 0
    free_form: dict[str, Any] | None = None


class Secret(AppError):
    """Not one that a client is to see."""


class Shown(NamedTuple):
    fields: dict[str, object]

    def wire(self) -> dict[str, object]:
        return self.fields


class Tagged(Shown):
    etag = '"7"'


def probe() -> ServiceApp:
    app = ServiceApp("probe")

    @app.operation("POST", "/things", "agents:write", status=201)
    def create_thing(_user: Principal, body: Thing, once: Once | None) -> Shown:
        number = str(uuid.uuid4())
        shown = Shown(body.wire() | {"number": number})
        table().write(
            Put({"PK": f"THING#{number}", "SK": "ROW"}), once=once and once.answering(201, shown)
        )
        return shown

    @app.operation("GET", "/things", "agents:read", headers={"Cache-Control": "no-store"})
    def list_things(_user: Principal, query: Paging, if_match: str | None) -> dict[str, object]:
        return {"limit": query.limit, "ifMatch": if_match}

    @app.operation("GET", "/me")
    def get_me(user: Principal) -> Principal:
        return user

    @app.operation("GET", "/things/{thing_id}", "agents:read")
    def get_thing(_user: Principal, thing_id: str, query: Reading) -> Tagged:
        return Tagged({"id": thing_id, "consistent": query.consistent})

    @app.operation("DELETE", "/things/{thing_id}", "agents:write")
    def delete_thing(_user: Principal, thing_id: str) -> None:
        """Nothing is answered."""

    @app.public("GET", "/failures")
    def fail() -> None:
        raise RuntimeError("the password is hunter2")

    @app.public("GET", "/busy")
    def be_busy() -> None:
        raise TooManyRequests("Slow down", retry_after=3)

    return app


@pytest.fixture(scope="module")
def things() -> Iterator[Service]:
    with running("agents"):
        module = ModuleType("probe")
        vars(module)["app"] = probe()
        yield Service("probe", module)


def error_of(answer: Answer, status: int) -> dict[str, Any]:
    """The error, once its envelope is as every client may expect it."""
    assert answer.status == status, answer
    assert answer.body.keys() == {"error"}
    error = dict(answer.body["error"])
    assert error.keys() - {"details"} == {"code", "message", "requestId", "timestamp"}
    assert all(isinstance(error[name], str) and error[name] for name in error.keys() - {"details"})
    assert answer.headers["X-Request-Id"] == error["requestId"]
    assert answer.headers.get("Content-Type", "application/json") == "application/json"
    return error


def post(things: Service, body: object = None, **options: Any) -> Answer:
    return things.request("POST", "/things", body, **options)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "null",
        "[]",
        '"text"',
        "1",
        '{"name": "a"',
        '{"name": "a", "ratio": NaN}',
        '{"name": "a", "ratio": Infinity}',
        '{"name": "a", "ratio": 1e999}',
        '{"name": "a", "name": "b"}',
        '{"name": "\\ud800"}',
        '{"name": "\ud800"}',
        '{"name": "a", "freeForm": {"\\udfff": 1}}',
        '{"name": "a", "freeForm": ' + '{"a":' * 33 + "1" + "}" * 34,
        '{"name": "a", "freeForm": ' + '{"a":' * 20_000 + "1" + "}" * 20_001,
        "[" * 100_000,
    ],
    ids=lambda raw: ascii(raw[:40]),
)
def test_a_body_that_is_no_sound_json_object_is_refused(things: Service, raw: str) -> None:
    assert error_of(post(things, raw=raw), 400)["code"] == "Invalid"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 21}, "name"),
        ({"name": 1}, "name"),
        ({"name": ["a"]}, "name"),
        ({"name": "a", "count": "1"}, "count"),
        ({"name": "a", "count": 1.5}, "count"),
        ({"name": "a", "count": True}, "count"),
        ({"name": "a", "ratio": "0.5"}, "ratio"),
        ({"name": "a", "freeForm": []}, "freeForm"),
        ({"name": "a", "colour": "red"}, "colour"),
        ({"name": "a", "Name": "a"}, "Name"),
        ({"name": "a", "__class__": "x"}, "__class__"),
    ],
)
def test_a_wrong_field_is_named(things: Service, body: object, field: str) -> None:
    fields = error_of(post(things, body), 400)["details"]["fields"]
    assert [each["field"] for each in fields] == [field]
    assert all(each["message"] for each in fields)


def test_every_wrong_field_is_named_and_no_value_is_repeated(things: Service) -> None:
    answer = post(things, {"name": 5, "count": "hunter2", "ratio": "hunter2"})
    fields = error_of(answer, 400)["details"]["fields"]
    assert [each["field"] for each in fields] == ["name", "count", "ratio"]
    assert "hunter2" not in answer.text


def test_a_body_with_very_many_faults_gets_a_short_answer(things: Service) -> None:
    answer = post(things, {"name": "a"} | {f"unknown{n}": 1 for n in range(5000)})
    error_of(answer, 400)
    assert len(answer.text) < 10_000


def test_a_body_of_the_largest_size_is_read(things: Service) -> None:
    body = json.dumps({"name": "a", "freeForm": {"text": ""}})
    filled = body.replace('""', '"' + "x" * (MAX_BODY_BYTES - len(body)) + '"')
    assert post(things, raw=filled).status == 201


def test_a_larger_body_is_refused_before_it_is_read(things: Service) -> None:
    assert error_of(post(things, raw="[" * (MAX_BODY_BYTES + 1)), 413)["code"] == "TooLarge"
    many_bytes = '{"name": "' + "é" * (MAX_BODY_BYTES // 2) + '"}'
    assert error_of(post(things, raw=many_bytes), 413)["code"] == "TooLarge"


@given(value=json_values)
def test_whatever_json_comes_the_answer_is_never_500(things: Service, value: object) -> None:
    answer = post(things, value)
    assert answer.status in (201, 400)
    if answer.status == 400:
        error_of(answer, 400)


@given(value=json_values)
def test_free_form_json_is_read_as_it_was_sent(things: Service, value: object) -> None:
    body = post(things, {"name": "a", "freeForm": {"value": value}}).body
    assert body["freeForm"] == {"value": value}


@given(raw=st.text(max_size=50) | st.text('{}[]",:\\u0d8a1eN ', max_size=30))
def test_whatever_text_comes_the_answer_is_never_500(things: Service, raw: str) -> None:
    error_of(post(things, raw=raw), 400)


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "", "json"])
def test_another_media_type_is_refused(things: Service, media_type: str) -> None:
    answer = post(things, {"name": "a"}, headers={"content-type": media_type})
    assert error_of(answer, 415)["code"] == "UnsupportedMediaType"


def test_a_charset_may_be_named(things: Service) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert post(things, {"name": "a"}, headers=headers).status == 201


def test_another_method_is_refused(things: Service) -> None:
    answer = things.request("PATCH", "/things", {})
    assert error_of(answer, 405)["code"] == "MethodNotAllowedError"


def test_a_refused_method_comes_with_the_allowed_ones(things: Service) -> None:
    assert things.request("PUT", "/things", {}).headers["Allow"] == "POST, GET"


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(logging.Formatter().format(record))


def test_an_unexpected_failure_is_told_to_the_log_alone(things: Service) -> None:
    lines = Lines()
    logging.getLogger().addHandler(lines)
    answer = things.request("GET", "/failures")
    logging.getLogger().removeHandler(lines)
    assert error_of(answer, 500)["code"] == "InternalError"
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    assert any("RuntimeError: the password is hunter2" in text for text in lines.texts)


def test_a_named_failure_is_told_with_its_details(things: Service) -> None:
    answer = things.request("GET", "/busy")
    error = error_of(answer, 429)
    assert error["code"] == "TooManyRequests"
    assert error["message"] == "Slow down"
    assert error["details"] == {"retryAfterSeconds": 3}
    assert answer.headers["Retry-After"] == "3"


def keyed(key: str) -> Mapping[str, str]:
    return {"Idempotency-Key": key}


def test_a_repeated_post_with_a_key_is_answered_as_before(things: Service) -> None:
    key = keyed(str(uuid.uuid4()))
    first = post(things, {"name": "a"}, headers=key)
    again = post(things, {"name": "a"}, headers=key)
    assert first.status == again.status == 201
    assert again.body == first.body
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]


def test_posts_without_a_key_are_two(things: Service) -> None:
    assert post(things, {"name": "a"}).body != post(things, {"name": "a"}).body


def test_a_key_with_another_body_is_a_mismatch(things: Service) -> None:
    key = keyed(str(uuid.uuid4()))
    post(things, {"name": "a"}, headers=key)
    answer = post(things, {"name": "b"}, headers=key)
    assert error_of(answer, 422)["code"] == "IdempotencyMismatch"


def test_a_key_belongs_to_its_user(things: Service) -> None:
    key = keyed(str(uuid.uuid4()))
    own = post(things, {"name": "a"}, headers=key, by=user("ada"))
    others = post(things, {"name": "a"}, headers=key, by=user("grace"))
    assert others.status == 201
    assert others.body != own.body


def test_a_refused_request_does_not_use_up_its_key(things: Service) -> None:
    key = keyed(str(uuid.uuid4()))
    error_of(post(things, {"name": ""}, headers=key), 400)
    assert post(things, {"name": "a"}, headers=key).status == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "é", "🔑", "\x7f", "k" * 256])
def test_a_key_of_other_than_visible_ascii_is_refused(things: Service, key: str) -> None:
    error = error_of(post(things, {"name": "a"}, headers=keyed(key)), 400)
    assert error["details"] == {"field": "idempotency-key"}


def test_the_longest_key_is_accepted(things: Service) -> None:
    assert post(things, {"name": "a"}, headers=keyed("k" * 255)).status == 201


def wrong_field(answer: Answer) -> str:
    """The one that is named."""
    (field,) = error_of(answer, 400)["details"]["fields"]
    return str(field["field"])


@pytest.mark.parametrize("path", ["/things", "/me", "/things/a"])
@pytest.mark.parametrize("name", ["Limit", "limits", "next_token", "page", "<script>", "x" * 500])
def test_an_unknown_query_parameter_is_refused(things: Service, path: str, name: str) -> None:
    assert wrong_field(things.request("GET", f"{path}?{name}=1")) == name


@pytest.mark.parametrize("text", ["", "0", "-1", "101", "1000", "1.5", "ten", "1e1", "٣", " 5"])
def test_a_limit_out_of_bounds_is_refused(things: Service, text: str) -> None:
    assert wrong_field(things.request("GET", f"/things?limit={text}")) == "limit"


@pytest.mark.parametrize("text", ["", "1", "0", "True", "yes", "on", " true"])
def test_a_flag_is_true_or_false_and_nothing_else(things: Service, text: str) -> None:
    assert wrong_field(things.request("GET", f"/things/a?consistent={text}")) == "consistent"


@pytest.mark.parametrize("text", ["true", "false"])
def test_a_flag_is_read(things: Service, text: str) -> None:
    answer = things.request("GET", f"/things/a?consistent={text}")
    assert answer.body == {"id": "a", "consistent": text == "true"}


def test_an_answer_with_an_entity_tag_comes_with_it(things: Service) -> None:
    assert things.request("GET", "/things/a").headers["ETag"] == '"7"'
    assert "ETag" not in things.request("GET", "/me").headers


def test_an_operation_answers_with_the_headers_it_declares(things: Service) -> None:
    assert things.request("GET", "/things").headers["Cache-Control"] == "no-store"


def test_a_header_that_the_handler_names_is_read(things: Service) -> None:
    assert things.request("GET", "/things", headers={"If-Match": '"3"'}).body["ifMatch"] == '"3"'
    assert things.request("GET", "/things").body["ifMatch"] is None


def test_no_answer_is_204_and_empty(things: Service) -> None:
    answer = things.request("DELETE", "/things/a")
    assert (answer.status, answer.text) == (204, "")


@pytest.mark.parametrize(
    ("query_text", "expected"), [("", 20), ("?limit=1", 1), ("?limit=100", 100)]
)
def test_a_limit_within_bounds_holds(things: Service, query_text: str, expected: int) -> None:
    assert things.request("GET", f"/things{query_text}").body["limit"] == expected


@pytest.mark.parametrize("thing_id", ["a b", "a%2Fb", "é", "x" * 65, "a.b", "$", "..", "a\n"])
def test_what_can_not_be_an_id_is_not_found(things: Service, thing_id: str) -> None:
    assert error_of(things.request("GET", f"/things/{thing_id}"), 404)["code"] == "NotFound"


def test_a_handler_knows_who_calls(things: Service) -> None:
    assert things.request("GET", "/me", by=user("grace")).body == user("grace").wire()


def test_a_request_without_an_identity_is_unauthenticated(things: Service) -> None:
    event = {
        "headers": {},
        "multiValueQueryStringParameters": None,
        "pathParameters": {},
        "stageVariables": None,
        "body": None,
        "requestContext": {"httpMethod": "GET", "resourcePath": "/me", "requestId": "r"},
    }
    answer = things.module.app(event, None)
    refused = Answer(answer["statusCode"], answer["headers"], answer["body"])
    assert error_of(refused, 401)["code"] == "Unauthenticated"
