"""What is released by itself: each service, and what the services share."""

import inspect
from dataclasses import dataclass
from pathlib import Path

from infra.packaging import ROOT
from infra.services import SERVICE_STACKS

SHARED_PARTS = ("platform", "workflows", "tools", "front-door", "dashboard")


@dataclass(frozen=True)
class Release:
    """What a pipeline watches, tests and deploys."""

    name: str
    parts: tuple[str, ...]
    paths: tuple[str, ...]
    tests: tuple[str, ...]
    ignored: tuple[str, ...] = ()

    @property
    def is_service(self) -> bool:
        return self.name in SERVICE_STACKS

    @property
    def released(self) -> str:
        """The parameter that names the commit that production has."""
        return f"/agentic/production/{self.name}/released"

    @property
    def deploy(self) -> str:
        """With `only`, nothing else is even built."""
        if len(self.parts) == 1:
            return _cdk(f"deploy agentic-$STAGE-{self.name} -c only={self.name}")
        stacks = " ".join(f"agentic-$STAGE-{part}" for part in self.parts)
        return _cdk(f"deploy {stacks} --exclusively")


def _cdk(arguments: str) -> str:
    return f'make cdk c="{arguments} -c stage=$STAGE --require-approval never"'


def of_service(service: str) -> Release:
    paths = (f"services/{service}/**", "libs/common/**", infra_file(service))
    return Release(service, (service,), paths, (f"services/{service}/tests", "libs/common/tests"))


def of_platform() -> Release:
    return Release(
        "platform",
        SHARED_PARTS,
        ("infra/**", "examples/tools/**", "requirements.lock", "cdk.json"),
        ("infra/tests",),
        ignored=("infra/local/**", *sorted({infra_file(each) for each in SERVICE_STACKS})),
    )


def infra_file(service: str) -> str:
    """The file that says what is special about its stack."""
    return str(Path(inspect.getfile(SERVICE_STACKS[service])).relative_to(ROOT))


RELEASES = (*(of_service(service) for service in SERVICE_STACKS), of_platform())
