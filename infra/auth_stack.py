"""The auth service's stack: three roles, for reading, signing and making keys are three jobs."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sam as sam
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs

from infra.grants import allow, may_read_secret
from infra.platform_stack import GENERATED
from infra.service_stack import ServiceStack

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
        self._authorizer(self.queue_into("record_observations", "Observations", at_once=2))

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

    def _operators_functions(self) -> None:
        role = self.new_role("OperatorRole")
        self.table.grant_read_write_data(role)
        self._may_use_keys(role, "kms:GetPublicKey", "kms:ScheduleKeyDeletion")
        tagged = {"StringEquals": {f"aws:RequestTag/{KEY_TAG}": self.stage.issuer}}
        allow(role, "kms:CreateKey", on=["*"], when=tagged)
        allow(role, "kms:TagResource", on=[self._keys()], when=tagged)
        for name in ("create_operator", "rotate_signing_key"):
            function = self.function(name)
            function.function_name = self.stage.named(name.replace("_", "-"))
            function.role = role.role_arn

    def _may_use_keys(self, role: iam.Role, *actions: str) -> None:
        """Those that this deployment made: keys come and go, so they are known by their tag."""
        tagged = {"StringEquals": {f"aws:ResourceTag/{KEY_TAG}": self.stage.issuer}}
        allow(role, *actions, on=[self._keys()], when=tagged)

    def _keys(self) -> str:
        return self.format_arn(service="kms", resource="key", resource_name="*")
