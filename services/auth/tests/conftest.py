from collections.abc import Iterator

import pytest

from tests.door import Door
from tests.service import Service, running
from tests.strategies import emptied
from tests.web import serving


@pytest.fixture(scope="module")
def running_auth(monkeypatch_module: pytest.MonkeyPatch) -> Iterator[Service]:
    with running("auth") as service, serving(service) as url:
        monkeypatch_module.setenv("JWKS_URL", f"{url}/.well-known/jwks.json")
        yield service


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def auth(running_auth: Service) -> Iterator[Service]:
    with emptied(running_auth):
        yield running_auth


@pytest.fixture
def door(auth: Service) -> Door:
    return Door(auth)
