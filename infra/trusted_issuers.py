"""External OIDC issuers whose access tokens a stage accepts: `infra/trusted_issuers/STAGE.json`, a
list of these, or the file that the environment variable TRUSTED_ISSUERS_FILE names."""

import json
import os
from pathlib import Path
from typing import Annotated

from common.models import Model
from common.principals import ACTIONS, ANY, RESOURCES
from pydantic import Field, StringConstraints, field_validator

_RESOURCE = "|".join((*RESOURCES, rf"\{ANY}"))
_ACTION = "|".join((*ACTIONS, rf"\{ANY}"))
Scopes = Annotated[
    str, StringConstraints(pattern=rf"^(({_RESOURCE}):({_ACTION}))( ({_RESOURCE}):({_ACTION}))*$")
]


class TrustedIssuer(Model):
    """`name` becomes part of its users' ids; `permissions` says which scopes a value of the claim
    stands for: `{"engineers": "agents:read agents:write tasks:read tasks:write"}`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9]{1,19}$")
    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: str = Field(pattern=r"^https://|^http://127\.0\.0\.1:")
    permissions_claim: str = Field(min_length=1)
    permissions: dict[str, Scopes]


class _TrustedIssuers(Model):
    issuers: list[TrustedIssuer]

    @field_validator("issuers")
    @classmethod
    def _differ(cls, issuers: list[TrustedIssuer]) -> list[TrustedIssuer]:
        for names in ([each.name for each in issuers], [each.issuer for each in issuers]):
            if len(set(names)) < len(names):
                raise ValueError("two trusted issuers have the same name")
        return issuers


def trusted_issuers(stage: str) -> str:
    """As JSON for the authorizer. Raises ValueError for what it could not go by."""
    file = Path(__file__).parent / "trusted_issuers" / f"{stage}.json"
    if "TRUSTED_ISSUERS_FILE" in os.environ:
        file = Path(os.environ["TRUSTED_ISSUERS_FILE"])
        if not file.exists():
            raise ValueError(f"TRUSTED_ISSUERS_FILE names {file}, which does not exist")
    elif not file.exists():
        return "[]"
    found = _TrustedIssuers.model_validate({"issuers": json.loads(file.read_text())})
    return json.dumps([issuer.wire() for issuer in found.issuers])
