"""The auth service's stack: three roles, for reading, signing and making keys are three jobs."""

from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sam as sam
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs

from infra.grants import may_read_secret
from infra.platform_stack import GENERATED
from infra.service_stack import MAX_RECEIVES, VISIBILITY, ServiceStack

AUTHORIZER = "chalicelib.auth.authorizer.handler.authorize"
"""Not Chalice's entry point: the authorizer starts without Chalice and without the AWS SDK."""
KEY_TAG = "agentic-tokens"


class AuthStack(ServiceStack):
    """The service signs; operators' functions make and destroy keys; the authorizer may read the
    table and leave what it noticed in a queue, and nothing else."""

    service = "auth"

    def variables(self) -> dict[str, str]:
        return super().variables() | {
            "ISSUER": self.stage.issuer,
            "REFRESH_SECRET": self.stage.named("refresh-key"),
        }

    def extend(self) -> None:
        secretsmanager.Secret(
            self,
            "RefreshKey",
            secret_name=self.stage.named("refresh-key"),
            generate_secret_string=GENERATED,
            removal_policy=self.stage.removal,
        )
        self.grant_secret("refresh-key")
        self._may_use_keys(self.role, "kms:Sign")
        self._operators_functions()
        self._authorizer(self._observations())

    def _authorizer(self, observations: sqs.Queue) -> None:
        role = self.new_role("AuthorizerRole")
        self.table.grant_read_data(role)
        observations.grant_send_messages(role)
        authorize = self.function("authorize")
        authorize.function_name = self.stage.authorizer
        authorize.role = role.role_arn
        authorize.handler = AUTHORIZER
        self.may_authorize.add_dependency(authorize)
        variables = {
            "TABLE_NAME": self.table.table_name,
            "ISSUER": self.stage.issuer,
            "JWKS_URL": f"{self.rest_api.url}/.well-known/jwks.json",
            "OBSERVATIONS_URL": observations.queue_url,
            "TRUSTED_ISSUERS": self.stage.trusted_issuers,
        }
        if self.stage.has_cloudfront:
            variables["FRONT_DOOR_SECRET"] = self.stage.named("front-door")
            may_read_secret(self, role, self.stage.named("front-door"))
        authorize.environment = sam.CfnFunction.FunctionEnvironmentProperty(variables=variables)

    def _observations(self) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            "Observations",
            visibility_timeout=VISIBILITY,
            enforce_ssl=not self.stage.local,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=MAX_RECEIVES
            ),
        )
        queue.grant_consume_messages(self.role)
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "ObservationsSource",
            function_name=self.function("record_observations").ref,
            event_source_arn=queue.queue_arn,
            batch_size=10,
            scaling_config={"maximumConcurrency": 2},
        )
        mapping.node.add_dependency(self.role)
        return queue

    def _operators_functions(self) -> None:
        role = self.new_role("OperatorRole")
        self.table.grant_read_write_data(role)
        self._may_use_keys(role, "kms:GetPublicKey", "kms:ScheduleKeyDeletion")
        tagged = {"StringEquals": {f"aws:RequestTag/{KEY_TAG}": self.stage.issuer}}
        role.add_to_policy(_statement(["kms:CreateKey"], ["*"], tagged))
        role.add_to_policy(_statement(["kms:TagResource"], [self._keys()], tagged))
        for name in ("create_operator", "rotate_signing_key"):
            function = self.function(name)
            function.function_name = self.stage.named(name.replace("_", "-"))
            function.role = role.role_arn

    def _may_use_keys(self, role: iam.Role, *actions: str) -> None:
        """Those that this deployment made: keys come and go, so they are known by their tag."""
        tagged = {"StringEquals": {f"aws:ResourceTag/{KEY_TAG}": self.stage.issuer}}
        role.add_to_policy(_statement(list(actions), [self._keys()], tagged))

    def _keys(self) -> str:
        return self.format_arn(service="kms", resource="key", resource_name="*")


def _statement(
    actions: list[str], resources: list[str], conditions: dict[str, Any]
) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions)
