"""What was revoked lately, for as long as a token made before it could still be used."""

from chalicelib.auth.models.revocations import Revocation
from chalicelib.auth.models.signing_keys import ACCESS_SECONDS
from common.clock import epoch_in
from common.dynamo import ANY, Put, Table

KEPT_SECONDS = ACCESS_SECONDS + 60
_PARTITION = "REVOKED"


def revocation_row(revocation: Revocation) -> Put:
    """To be written together with what is revoked."""
    row = {
        "PK": _PARTITION,
        "SK": revocation.digest,
        "below": revocation.below,
        "TTL": epoch_in(KEPT_SECONDS),
    }
    return Put(row, version=ANY)


def revocations(table: Table) -> list[Revocation]:
    found, start = [], None
    while True:
        page = table.query(_PARTITION, start=start)
        found += [
            Revocation(row["SK"], row["below"]) for row in page.rows if row["TTL"] > epoch_in(0)
        ]
        start = page.position
        if start is None:
            return found
