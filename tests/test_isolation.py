"""Each service stands alone, and its routes load nothing that only its model calls need."""

import json
import subprocess
import sys

import pytest

from tests.service import ROOT

SERVICES = sorted(app.parent.name for app in ROOT.glob("services/*/app.py"))
HEAVY = {"strands", "openai", "anthropic", "ariadne", "redis", "aws_cdk", "moto", "infra", "tests"}
ALLOWED = {"graphql": {"ariadne"}}


def modules_of(service: str) -> set[str]:
    """What `import app` loads when nothing but the service, `common` and the wheels is there."""
    paths = [str(ROOT / "services" / service), str(ROOT / "libs/common")]
    script = "import app, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={"PYTHONPATH": ":".join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module", params=SERVICES)
def loaded(request: pytest.FixtureRequest) -> tuple[str, set[str]]:
    return request.param, modules_of(request.param)


def test_there_are_services_to_look_at() -> None:
    assert {"agents", "auth", "tasks"} <= set(SERVICES)


def test_a_service_is_imported_without_the_others_and_without_settings(
    loaded: tuple[str, set[str]],
) -> None:
    service, modules = loaded
    own = {name.split(".")[1] for name in modules if name.startswith("chalicelib.")}
    assert own == {service}


def test_routes_do_not_wait_for_libraries_they_do_not_use(loaded: tuple[str, set[str]]) -> None:
    service, modules = loaded
    packages = {name.partition(".")[0] for name in modules}
    assert packages & HEAVY <= ALLOWED.get(service, set())
