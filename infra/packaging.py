"""Puts together what Chalice ships for a service, and keeps services from mixing."""

import compileall
import fcntl
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
OLD, NEW = "x86_64-manylinux2014", "x86_64-manylinux_2_28"
ASKED_OF_AWS = (
    *("apigatewaymanagementapi", "dynamodb", "events", "kms", "lambda", "scheduler"),
    *("secretsmanager", "sqs", "ssm", "stepfunctions", "sts"),
)
"""The clients that services make; a test compares."""
TAGGED_TOO_NEW = ("google-re2",)
"""Their wheels ask for a younger glibc than they use: docs/decisions/0043."""
_IGNORED = shutil.ignore_patterns("__pycache__", "tests", "*.pyc")


def assemble(service: str, bundle_dependencies: bool) -> Path:
    """`build/<service>`: its app, its code, `common` and, if wanted, its locked dependencies.

    Everything is byte-compiled with unchecked hashes: Lambda's file system is read-only and the
    zip's timestamps are fixed, so that ordinary .pyc files would never be used.
    """
    source, target = ROOT / "services" / service, ROOT / "build" / service
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(source / "app.py", target)
    shutil.copytree(source / "chalicelib", target / "chalicelib", ignore=_IGNORED)
    shutil.copytree(source / ".chalice", target / ".chalice")
    vendor = target / "vendor"
    shutil.copytree(ROOT / "libs/common/common", vendor / "common", ignore=_IGNORED)
    if bundle_dependencies:
        _install(service, vendor)
    compileall.compile_dir(
        vendor, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    return target


@contextmanager
def exclusively() -> Iterator[None]:
    """One process at a time writes to `build` and packages from it."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def only(environment: dict[str, str]) -> Iterator[None]:
    """Every service has modules called `app` and `chalicelib`, and Chalice keeps the first it met
    (aws/chalice#2030): it meets none, and nothing that it leaves behind stays in this process."""
    before, path, modules = dict(os.environ), list(sys.path), _take_services()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path
        _take_services()
        sys.modules.update(modules)


def _take_services() -> dict[str, ModuleType]:
    """The services' modules, which are not imported any more."""
    names = [m for m in sys.modules if m == "app" or m.split(".")[0] == "chalicelib"]
    return {name: sys.modules.pop(name) for name in names}


def _install(service: str, vendor: Path) -> None:
    """What the service's group asks for, as the lock has it, for the functions' Amazon Linux 2."""
    never = "".join(f"{name}; python_version < '3'\n" for name in TAGGED_TOO_NEW)
    command = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--target",
        str(vendor),
        "--python-version",
        "3.11",
    ]
    command += ["--constraint", "requirements.lock", "--only-binary", ":all:"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        overrides.write(never)
        overrides.flush()
        wanted = ["--group", service, "--override", overrides.name]
        subprocess.run([*command, "--python-platform", OLD, *wanted], cwd=ROOT, check=True)
    late = [pin for pin in pins_of(service) if pin.partition("==")[0] in TAGGED_TOO_NEW]
    if late:
        wanted = ["--no-deps", *late]
        subprocess.run([*command, "--python-platform", NEW, *wanted], cwd=ROOT, check=True)
    _forget_other_services_of_aws(vendor)


def _forget_other_services_of_aws(vendor: Path) -> None:
    """botocore describes all of them: half of a package."""
    for described in (vendor / "botocore/data").iterdir():
        if described.is_dir() and described.name not in ASKED_OF_AWS:
            shutil.rmtree(described)


def pins_of(group: str) -> Iterator[str]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for each in groups[group]:
        if isinstance(each, str):
            yield each
        else:
            yield from pins_of(each["include-group"])
