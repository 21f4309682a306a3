"""Where a request comes from. Imports nothing heavy: the authorizer starts with this."""

import hmac
import ipaddress
import os
from collections.abc import Mapping
from typing import Any


def client_address(context: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """By API Gateway's request context and headers with lower-case names.

    CloudFront appends the client to X-Forwarded-For and API Gateway appends CloudFront; what
    stands further left is the client's own words. Without CloudFront they all are.
    """
    forwarded = headers.get("x-forwarded-for", "").split(",")
    if len(forwarded) > 1 and _came_through_the_front_door(headers):
        return forwarded[-2].strip()
    return str(context["identity"]["sourceIp"])


def network(address: str) -> str:
    """What one client is sure to be behind: an IPv6 client has 2**64 addresses to choose from."""
    try:
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    except ValueError:  # it is an IPv4 address
        return address


def _came_through_the_front_door(headers: Mapping[str, str]) -> bool:
    """Anybody can send the header; only CloudFront knows what must be in it."""
    shown, name = headers.get("x-front-door"), os.environ.get("FRONT_DOOR_SECRET")
    if not shown or not name:
        return False
    from common.secrets import secret

    return hmac.compare_digest(shown.encode("utf-8", "replace"), secret(name).encode())
