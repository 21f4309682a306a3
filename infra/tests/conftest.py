from collections.abc import Callable
from pathlib import Path

import pytest

from infra.tests.synthesis import Synthesis, Template, synthesise


@pytest.fixture(scope="session")
def synthesis(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Synthesis]:
    """`synthesis("production")`: the templates and findings of that stage."""
    shared: Path = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    made: dict[str, Synthesis] = {}

    def of(stage: str) -> Synthesis:
        if stage not in made:
            made[stage] = synthesise(stage, shared / f"stage-{stage}")
        return made[stage]

    return of


@pytest.fixture(scope="session")
def templates(synthesis: Callable[[str], Synthesis]) -> dict[str, Template]:
    """Those of a real stage."""
    return synthesis("staging").templates
