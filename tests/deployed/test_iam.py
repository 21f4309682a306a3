"""What the deployed roles keep their holders from: all of it where the platform enforces IAM, and
nothing where it says that it does not."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from common.events.catalogue import sources_of

from infra.stage import SERVICES
from tests.platform import Platform

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]

DENIALS = ("AccessDenied", "AccessDeniedException")
NOBODY = {"PK": {"S": "NOBODY"}, "SK": {"S": "NOBODY"}}
UNHEARD = {"EventBusName": "agentic-local-bus", "Source": "test", "DetailType": "t", "Detail": "{}"}


class Holder:
    """Whoever has the credentials of a deployed function: what the function itself may do."""

    def __init__(self, platform: Platform, function: str) -> None:
        deployed = platform.function(function)
        session = platform.aws("sts").assume_role(RoleArn=deployed["Role"], RoleSessionName="test")
        self._credentials = session["Credentials"]
        self._url = platform.facts["awsEndpointUrl"]

    def is_denied(self, service: Any, operation: str, **arguments: Any) -> bool:
        try:
            getattr(self._client(service), operation)(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] not in DENIALS:
                raise
            return True
        return False

    def _client(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._url,
            region_name="us-east-1",
            aws_access_key_id=self._credentials["AccessKeyId"],
            aws_secret_access_key=self._credentials["SecretAccessKey"],
            aws_session_token=self._credentials["SessionToken"],
        )


def table_of(platform: Platform, service: str) -> str:
    return str(platform.function(f"{service}-APIHandler")["Environment"]["Variables"]["TABLE_NAME"])


@pytest.fixture(scope="module")
def enforced(platform: Platform) -> bool:
    return bool(platform.facts["iam"] == "enforced")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_its_own_table_alone(
    platform: Platform, enforced: bool, service: str
) -> None:
    holder = Holder(platform, f"{service}-APIHandler")
    for other in SERVICES:
        asked = {"TableName": table_of(platform, other), "Key": NOBODY}
        is_refused = enforced and other != service
        for operation in ("get_item", "delete_item"):
            assert holder.is_denied("dynamodb", operation, **asked) == is_refused


def test_the_authorizer_reads_and_does_not_write(platform: Platform, enforced: bool) -> None:
    holder, table = Holder(platform, "authorize"), table_of(platform, "auth")
    assert not holder.is_denied("dynamodb", "get_item", TableName=table, Key=NOBODY)
    for operation, what in (("put_item", "Item"), ("delete_item", "Key")):
        asked = {"TableName": table, what: NOBODY}
        assert holder.is_denied("dynamodb", operation, **asked) == enforced


@pytest.mark.parametrize("service", SERVICES)
def test_only_who_announces_events_may_put_them(
    platform: Platform, enforced: bool, service: str
) -> None:
    holder = Holder(platform, f"{service}-APIHandler")
    is_refused = enforced and not sources_of(service)
    assert holder.is_denied("events", "put_events", Entries=[UNHEARD]) == is_refused


def test_tasks_invokes_tools_and_no_other_function(platform: Platform, enforced: bool) -> None:
    holder = Holder(platform, "tasks-ExecuteStep")
    for function, is_refused in (
        ("agentic-tool-calculator", False),
        ("agentic-local-create-operator", enforced),
        ("agentic-local-authorize", enforced),
    ):
        asked = {"FunctionName": function, "InvocationType": "DryRun"}
        assert holder.is_denied("lambda", "invoke", **asked) == is_refused


@pytest.mark.parametrize("service", SERVICES)
def test_only_tasks_reads_the_provider_keys(
    platform: Platform, enforced: bool, service: str
) -> None:
    holder = Holder(platform, f"{service}-APIHandler")
    is_refused = enforced and service != "tasks"
    asked = {"SecretId": "agentic-local-openai-key"}
    assert holder.is_denied("secretsmanager", "get_secret_value", **asked) == is_refused
