import os
from collections.abc import Iterator

import boto3
import common.secrets
import pytest
from common.addresses import client_address, network
from moto import mock_aws

CLOUDFRONT = "130.176.0.1"
CONTEXT = {"identity": {"sourceIp": CLOUDFRONT}}


@pytest.fixture
def behind_cloudfront() -> Iterator[str]:
    """What CloudFront shows; nothing of this outlives the test."""
    before = dict(os.environ)
    os.environ["FRONT_DOOR_SECRET"] = "staging-front-door"
    with mock_aws():
        _forget_secrets()
        boto3.client("secretsmanager").create_secret(
            Name="staging-front-door", SecretString="only CloudFront knows"
        )
        yield "only CloudFront knows"
        _forget_secrets()
    os.environ.clear()
    os.environ.update(before)


def _forget_secrets() -> None:
    common.secrets._client.cache_clear()
    common.secrets._kept.clear()


def through(forwarded: str, shown: str) -> str:
    return client_address(CONTEXT, {"x-forwarded-for": forwarded, "x-front-door": shown})


def test_without_cloudfront_it_is_the_peer() -> None:
    assert client_address(CONTEXT, {}) == CLOUDFRONT
    assert through(f"1.2.3.4, {CLOUDFRONT}", "anything") == CLOUDFRONT


@pytest.mark.usefixtures("behind_cloudfront")
@pytest.mark.parametrize("shown", ["", "guessed", "é", "\ud800", "only CloudFront knows "])
def test_who_does_not_know_the_secret_is_the_peer(shown: str) -> None:
    assert through(f"1.2.3.4, {CLOUDFRONT}", shown) == CLOUDFRONT


def test_behind_cloudfront_it_is_the_viewer_whatever_they_claim(behind_cloudfront: str) -> None:
    assert through(f"1.2.3.4, {CLOUDFRONT}", behind_cloudfront) == "1.2.3.4"
    assert through(f"6.6.6.6,10.0.0.1, 1.2.3.4,{CLOUDFRONT}", behind_cloudfront) == "1.2.3.4"
    assert through(f"2001:db8::1, {CLOUDFRONT}", behind_cloudfront) == "2001:db8::1"


@pytest.mark.parametrize("forwarded", ["", CLOUDFRONT])
def test_a_header_that_names_no_viewer_is_no_viewer(behind_cloudfront: str, forwarded: str) -> None:
    assert through(forwarded, behind_cloudfront) == CLOUDFRONT


def test_the_addresses_of_an_ipv6_client_are_one_network() -> None:
    assert network("2001:db8::1") == network("2001:db8:0:0:ffff::2") == "2001:db8::/64"
    assert network("2001:db8:0:1::1") != network("2001:db8::1")


@pytest.mark.parametrize("address", ["127.0.0.1", "1.2.3.4", "", "unknown"])
def test_any_other_address_stands_for_itself(address: str) -> None:
    assert network(address) == address
