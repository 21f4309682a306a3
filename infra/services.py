"""The services' stacks; each says only what is special about it."""

from aws_cdk import aws_iam as iam

from infra.service_stack import ServiceStack


class AuthStack(ServiceStack):
    """Owns the authorizer, which may read and nothing else."""

    service = "auth"

    def extend(self) -> None:
        authorize = self.function("authorize")
        authorize.function_name = self.stage.authorizer
        authorize.role = self._reader().role_arn
        self.function("create_operator").function_name = self.stage.named("create-operator")

    def _reader(self) -> iam.Role:
        role = iam.Role(
            self,
            "AuthorizerRole",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AWSLambdaBasicExecutionRole"
                )
            ],
        )
        self.table.grant_read_data(role)
        return role


class AgentsStack(ServiceStack):
    service = "agents"


SERVICE_STACKS = {stack.service: stack for stack in (AuthStack, AgentsStack)}
