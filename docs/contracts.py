"""Whether a release's events keep the promises of what production has.

`python -m docs.contracts record RELEASE` names the commit at hand as the one in production;
`check RELEASE` compares the code with the schemas of that commit. So a changed schema file can't
hide a breaking change, which `docs.generate --check` would not see in one commit.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from common.events.catalogue import CATALOGUE
from common.events.schemas import schema

from docs.compatibility import breaks
from docs.generate import ROOT, SCHEMAS
from infra.releases import RELEASES, Release


def broken(release: Release, commit: str, root: Path = ROOT) -> list[str]:
    """The promises that a service's events do not keep; the platform answers for everybody's."""
    producers = [release.name] if release.is_service else [e.producer for e in CATALOGUE]
    events = [entry.event for entry in CATALOGUE if entry.producer in producers]
    return [
        f"{event.__name__}: {what}"
        for event in events
        if (released := _schema_at(commit, event.__name__, root))
        for what in breaks(released, schema(event))
    ]


def _schema_at(commit: str, event: str, root: Path) -> dict[str, Any] | None:
    """None for an event that was not released then."""
    file = f"{commit}:{SCHEMAS.relative_to(ROOT)}/{event}.json"
    done = subprocess.run(["git", "show", file], cwd=root, capture_output=True, check=False)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else None


def _released_commit(release: Release) -> str | None:
    try:
        answer = boto3.client("ssm").get_parameter(Name=release.released)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return None
        raise
    return answer["Parameter"]["Value"]


def _record(release: Release) -> None:
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    boto3.client("ssm").put_parameter(
        Name=release.released, Value=head, Type="String", Overwrite=True
    )


def main(command: str, name: str) -> str | None:
    """One line about what is wrong, or nothing."""
    (release,) = [each for each in RELEASES if each.name == name]
    if command == "record":
        _record(release)
        return None
    commit = _released_commit(release)
    told = broken(release, commit) if commit else []
    return f"breaks what is released: {' | '.join(told)}" if told else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
