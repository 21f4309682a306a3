"""What the authorizer noticed and, as it may not write, left for others to record."""

from collections import Counter
from collections.abc import Iterable

from chalicelib.auth.repository.attempts import AttemptRepository
from chalicelib.auth.repository.credentials import CredentialRepository
from chalicelib.auth.use_cases.credentials import record_use

Observation = dict[str, str]


def record(
    credentials: CredentialRepository,
    attempts: AttemptRepository,
    observations: Iterable[Observation],
) -> None:
    """An observation is `{keyId, at}` of a key that opened, or `{address}` of one that failed."""
    latest: dict[str, str] = {}
    failures: Counter[str] = Counter()
    for seen in observations:
        if "keyId" in seen:
            latest[seen["keyId"]] = max(seen["at"], latest.get(seen["keyId"], ""))
        else:
            failures[seen["address"]] += 1
    for key_id, at in latest.items():
        record_use(credentials, key_id, at)
    for address, count in failures.items():
        attempts.add_failures(address, count)
