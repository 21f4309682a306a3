"""A page's scripts and the deployed front door; `infra/tests/test_cors.py` has the rest."""

import pytest

from tests.platform import Platform

pytestmark = pytest.mark.deployed

PAGE = "http://localhost:5173"


def test_a_page_on_this_machine_may_call_the_apis(platform: Platform) -> None:
    with platform.api() as api:
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        preflight = api.options("/agents", headers=asked)
        assert (preflight.status_code, preflight.text) == (204, "")
        answers = [api.get("/agents", headers={"Origin": PAGE})]
        answers += [api.get("/agents", headers={"Origin": PAGE, "Authorization": "no"})]
        assert [answer.status_code for answer in answers] == [200, 401]
        for answer in (preflight, *answers):
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        other = api.get("/agents", headers={"Origin": "https://example.com"})
        assert "Access-Control-Allow-Origin" not in other.headers
