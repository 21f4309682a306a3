"""Tokens of an external OIDC issuer, which this test is, on the deployed platform."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.oidc import OidcIssuer, running_issuer
from tests.platform import Platform

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]


@pytest.fixture
def issuer(platform: Platform) -> Iterator[OidcIssuer]:
    variables = platform.function("authorize")["Environment"]["Variables"]
    trusted = json.loads(variables["TRUSTED_ISSUERS"])
    if not trusted:
        pytest.skip("this platform trusts no issuer: the one that `make test` starts does")
    port = urlsplit(trusted[0]["jwksUrl"]).port
    assert port
    with running_issuer(port) as issuer:
        assert trusted == [issuer.configuration()]
        yield issuer


def test_its_users_and_nobody_else_work_with_what_is_theirs(
    platform: Platform, issuer: OidcIssuer
) -> None:
    with platform.client(f"Bearer {issuer.token(sub='ada')}") as ada:
        agent = ada.agent()
        assert ada.finished(ada.task(agent["id"], "Who are you?"))["status"] == "completed"
        assert agent["userId"] == ada.get("/auth/me").json()["userId"]
        assert ada.get("/auth/users/x").status_code == 403
        assert ada.post("/auth/token").status_code == 403
    with platform.client(f"Bearer {issuer.token(sub='grace')}") as grace:
        assert grace.get(f"/agents/{agent['id']}").status_code == 403
        assert grace.get("/agents").json()["items"] == []
    forged = OidcIssuer().token(sub="ada")  # its key has the same id
    with platform.client(f"Bearer {forged}") as stranger:
        assert stranger.get("/agents").status_code == 401
