"""Preflights and answers at the local front door, and what CloudFront's function does of it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from infra.front_door_stack import FrontDoorStack, on_request
from infra.local.cors import Cors
from infra.stage import Stage
from infra.tests.synthesis import resources

APP, OTHER = "https://app.example.com", "https://example.com.evil.example"
ORIGINS = (APP, "http://localhost:*")


def ask(method: str = "GET", **headers: str) -> dict[str, Any]:
    """Status and headers of the answer; 401 is the application's own."""
    sent: list[Any] = []

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "headers": told}
    asyncio.run(Cors(ORIGINS, application)(scope, None, send))
    return {"status": sent[0]["status"], **{k.decode(): v.decode() for k, v in sent[0]["headers"]}}


@pytest.mark.parametrize("origin", [APP, "http://localhost:5173"])
def test_a_page_of_an_allowed_origin_may_ask_and_read(origin: str) -> None:
    preflight = ask("OPTIONS", origin=origin, access_control_request_method="PUT")
    assert preflight["status"] == 204
    assert preflight["access-control-allow-origin"] == origin
    assert "PUT" in preflight["access-control-allow-methods"]
    assert "Idempotency-Key" in preflight["access-control-allow-headers"]
    answer = ask(origin=origin)
    assert (answer["status"], answer["x"]) == (401, "y"), "refusals are to be read, too"
    assert answer["access-control-allow-origin"] == origin
    assert "RateLimit" in answer["access-control-expose-headers"]
    assert answer["vary"] == "Origin"


@pytest.mark.parametrize("origin", [OTHER, "null", f"{APP}:8443", "https://localhost:1"])
def test_a_page_of_another_may_not(origin: str) -> None:
    preflight = ask("OPTIONS", origin=origin, access_control_request_method="PUT")
    assert preflight == {"status": 204}
    assert ask(origin=origin) == {"status": 401, "x": "y"}


def test_what_is_no_page_notices_nothing() -> None:
    assert ask() == {"status": 401, "x": "y"}
    assert ask("OPTIONS")["status"] == 401, "an ordinary request"


def cloudfront(method: str, **headers: str) -> Any:
    told = {name.replace("_", "-"): {"value": value} for name, value in headers.items()}
    event = {"request": {"method": method, "uri": "/agents", "headers": told}}
    script = f"{on_request(ORIGINS)}\nconsole.log(JSON.stringify(handler({json.dumps(event)})));"
    node = Path(sys.executable).parent / "node"
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_cloudfronts_function_answers_preflights_alike() -> None:
    answer = cloudfront("OPTIONS", origin=APP, access_control_request_method="PUT")
    told = {name: header["value"] for name, header in answer["headers"].items()}
    status = {"status": answer["statusCode"]}
    assert status | told == ask("OPTIONS", origin=APP, access_control_request_method="PUT")
    refused = cloudfront("OPTIONS", origin=OTHER, access_control_request_method="PUT")
    assert refused == {"statusCode": 204, "statusDescription": "No Content"}
    assert cloudfront("OPTIONS", access_control_request_method="PUT") == refused


def test_cloudfronts_function_passes_requests_on_with_their_key() -> None:
    passed = cloudfront("GET", origin=APP, x_api_key="k")
    assert passed["headers"]["authorization"] == {"value": "ApiKey k"}
    assert "x-api-key" not in passed["headers"]


def test_pages_of_the_allowed_origins_may_read_what_cloudfront_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://app.example.com,https://*.example.org")
    front_door = FrontDoorStack(cdk.App(), Stage("staging"))
    template = dict(assertions.Template.from_stack(front_door).to_json())
    (policy,) = resources(template, "AWS::CloudFront::ResponseHeadersPolicy").values()
    cors = policy["ResponseHeadersPolicyConfig"]["CorsConfig"]
    origins = ["https://app.example.com", "https://*.example.org"]
    assert cors["AccessControlAllowOrigins"]["Items"] == origins
    assert cors["AccessControlAllowCredentials"] is False
    (function,) = resources(template, "AWS::CloudFront::Function").values()
    assert json.dumps("^https://app\\.example\\.com$") in function["FunctionCode"]
