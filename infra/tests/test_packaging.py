"""What is left out of packages is not needed."""

import re

from infra.packaging import ASKED_OF_AWS, ROOT, TAGGED_TOO_NEW, pins_of
from infra.stage import SERVICES

CLIENT = re.compile(r"boto3\.(?:client|resource)\(\s*\"([\w-]+)\"")


def test_packages_know_every_service_of_aws_that_is_asked() -> None:
    asked = {
        name
        for folder in ("services/*", "libs/common/common")
        for file in ROOT.glob(f"{folder}/**/*.py")
        if "tests" not in file.parts
        for name in CLIENT.findall(file.read_text())
    }
    assert {"dynamodb", "events", "lambda"} <= asked <= set(ASKED_OF_AWS)


def test_what_is_installed_by_a_younger_tag_is_pinned() -> None:
    pins = {pin for service in SERVICES for pin in pins_of(service)}
    for name in TAGGED_TOO_NEW:
        assert [pin for pin in pins if pin.startswith(f"{name}==")], name
