"""What a function needs to ask the cache: where it is, and a place in its network."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sam as sam
from aws_cdk import aws_ssm as ssm

from infra.grants import may_read_secret
from infra.stage import Stage


class CacheAccess:
    """Of the functions of one service, which share a role."""

    def __init__(self, stack: cdk.Stack, stage: Stage, role: iam.Role) -> None:
        self._stack = stack
        self._stage = stage
        self._role = role
        self._key = stage.named("cache-key")
        self._subnets: dict[str, list[str]] = {}

    def give(self, function: sam.CfnFunction, outward: bool = False) -> None:
        """`outward` is for functions that also ask what is not in the network: model providers,
        tools, state machines."""
        url = self._of_platform("cache-url")
        function.add_property_override("Environment.Variables.REDIS_URL", url)
        if self._stage.isolates_cache:
            function.add_property_override("Environment.Variables.REDIS_SECRET", self._key)
            function.vpc_config = sam.CfnFunction.VpcConfigProperty(
                security_group_ids=[self._of_platform("cache-callers")],
                subnet_ids=self._subnets_of("outward-subnets" if outward else "subnets"),
            )

    def _subnets_of(self, name: str) -> list[str]:
        if not self._subnets:
            may_read_secret(self._stack, self._role, self._key)
            self._role.add_managed_policy(
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AWSLambdaVPCAccessExecutionRole"
                )
            )
        if name not in self._subnets:
            self._subnets[name] = ssm.StringListParameter.value_for_typed_list_parameter(
                self._stack, self._stage.parameter("platform", name)
            )
        return self._subnets[name]

    def _of_platform(self, name: str) -> str:
        parameter = self._stage.parameter("platform", name)
        return ssm.StringParameter.value_for_string_parameter(self._stack, parameter)
