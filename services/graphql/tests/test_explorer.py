"""GraphiQL is one page, which brings all it needs and may do nothing else."""

import base64
import hashlib
import re
from collections.abc import Callable

import pytest

from tests.service import Answer, Service


@pytest.fixture
def answer(service: Callable[[str], Service]) -> Answer:
    return service("graphql").request("GET", "/graphql")


def test_anybody_gets_the_page(answer: Answer) -> None:
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert 'id="explorer" data-socket-url="wss://sockets.invalid/live"' in answer.text


def test_its_policy_allows_its_own_scripts_and_no_others(answer: Answer) -> None:
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]+)"', answer.text)
    assert policy
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()) for each in scripts]
    allowed = re.search("script-src ([^;]+);", policy[1])
    assert allowed
    assert allowed[1].split() == [f"'sha256-{each.decode()}'" for each in hashes]
    assert len(scripts) == 4
    assert policy[1].startswith("default-src 'none'; ")


def test_it_fetches_nothing_from_anywhere(answer: Answer) -> None:
    assert not re.search(
        r"<(script|link|img|iframe)\b[^>]*(src|href)=", answer.text.split("<script>")[0]
    )
    assert not re.search(r"url\((?!data:)", answer.text.split("</style>")[0])


def test_it_takes_no_parameters(service: Callable[[str], Service]) -> None:
    refused = service("graphql").request("GET", "/graphql?query=x")
    assert (refused.status, refused.body["error"]["code"]) == (400, "Invalid")
