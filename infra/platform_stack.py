"""What the services share: the bus, its archive, the cache, keys and provider secrets."""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm

from infra.bus_policy import guard
from infra.stage import Stage

GENERATED = secretsmanager.SecretStringGenerator(password_length=64, exclude_punctuation=True)
"""Said in full: what is left to the default is left empty by the emulator."""
PROVIDERS = ("openai", "anthropic")
CACHE_PORT = 6379
SUBNETS = [
    ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
    ec2.SubnetConfiguration(name="Outward", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
    ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=26),
]


class PlatformStack(cdk.Stack):
    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("platform"), synthesizer=stage.synthesizer)
        self.stage = stage
        bus = events.EventBus(self, "Bus", event_bus_name=stage.bus)
        if stage.guards_bus:
            guard(self, bus, stage)
            bus.archive(
                "Archive",
                event_pattern=events.EventPattern(account=[self.account]),
                retention=cdk.Duration.days(30),
            )
        if stage.observes:
            self._gateway_may_log()
        key = kms.Key(self, "Key", enable_key_rotation=True, removal_policy=self.stage.removal)
        self._secrets(key)
        self._alarms(key)
        self._cache()

    def _gateway_may_log(self) -> None:
        """API Gateway writes access logs with one role for the whole account and region."""
        role = iam.Role(
            self,
            "GatewayLogs",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
                )
            ],
        )
        apigateway.CfnAccount(self, "Gateway", cloud_watch_role_arn=role.role_arn)

    def _alarms(self, key: kms.Key) -> None:
        """Whoever is to hear of alarms subscribes to this topic."""
        topic = sns.Topic(
            self,
            "Alarms",
            topic_name=self.stage.alarms,
            master_key=key if self.stage.observes else None,
            enforce_ssl=self.stage.observes,
        )
        topic.grant_publish(iam.ServicePrincipal("cloudwatch.amazonaws.com"))

    def _secrets(self, key: kms.Key) -> None:
        for name in ("cursor-key", *(f"{provider}-key" for provider in PROVIDERS)):
            self._secret(name, key, GENERATED)
        if self.stage.has_cloudfront:
            self._secret("front-door", key, GENERATED)
        if self.stage.isolates_cache:
            self._secret("cache-key", key, GENERATED)

    def _secret(self, name: str, key: kms.Key, made: secretsmanager.SecretStringGenerator) -> None:
        secretsmanager.Secret(
            self,
            name.title().replace("-", ""),
            secret_name=self.stage.named(name),
            encryption_key=key,
            generate_secret_string=made,
            removal_policy=self.stage.removal,
        )

    def _cache(self) -> None:
        """Redis with `allkeys-lru`: what is least recently used makes room."""
        parameters = elasticache.CfnParameterGroup(
            self,
            "CacheParameters",
            cache_parameter_group_family="redis7",
            description="Evicts the least recently used key",
            properties={"maxmemory-policy": "allkeys-lru"},
        )
        cache = elasticache.CfnReplicationGroup(
            self,
            "Cache",
            replication_group_description=self.stage.named("cache"),
            engine="redis",
            cache_node_type="cache.t4g.small" if self.stage.production else "cache.t4g.micro",
            num_cache_clusters=2 if self.stage.production else 1,
            automatic_failover_enabled=self.stage.production,
            multi_az_enabled=self.stage.production,
            cache_parameter_group_name=parameters.ref,
            **(self._isolated() if self.stage.isolates_cache else {}),
        )
        scheme = "rediss" if self.stage.isolates_cache else "redis"
        address = f"{cache.attr_primary_end_point_address}:{cache.attr_primary_end_point_port}"
        self._publish(f"{scheme}://{address}", "cache-url")

    def _publish(self, value: str, name: str) -> None:
        ssm.StringParameter(
            self,
            name.title().replace("-", ""),
            parameter_name=self.stage.parameter("platform", name),
            string_value=value,
        )

    def _publish_list(self, values: list[str], name: str) -> None:
        ssm.StringListParameter(
            self,
            name.title().replace("-", ""),
            parameter_name=self.stage.parameter("platform", name),
            string_list_value=values,
        )

    def _isolated(self) -> dict[str, Any]:
        """A network whose isolated subnets nothing leaves: who asks the cache reaches AWS from
        within. What must also ask model providers or tools has subnets with a way out."""
        vpc = ec2.Vpc(self, "Network", max_azs=2, nat_gateways=1, subnet_configuration=SUBNETS)
        self._log_refused_traffic(vpc)
        callers = ec2.SecurityGroup(self, "Callers", vpc=vpc)
        self._publish(callers.security_group_id, "cache-callers")
        self._publish_list(_ids(vpc.isolated_subnets), "subnets")
        self._publish_list(_ids(vpc.private_subnets), "outward-subnets")
        self._reach_aws(vpc, callers)
        group = ec2.SecurityGroup(self, "CacheAccess", vpc=vpc, allow_all_outbound=False)
        group.add_ingress_rule(callers, ec2.Port.tcp(CACHE_PORT))
        subnets = elasticache.CfnSubnetGroup(
            self,
            "CacheSubnets",
            description="Private subnets of the cache",
            subnet_ids=_ids(vpc.isolated_subnets),
        )
        return {
            "port": CACHE_PORT,
            "cache_subnet_group_name": subnets.ref,
            "security_group_ids": [group.security_group_id],
            "transit_encryption_enabled": True,
            "at_rest_encryption_enabled": True,
            "auth_token": cdk.SecretValue.secrets_manager(
                self.stage.named("cache-key")
            ).unsafe_unwrap(),
        }

    def _log_refused_traffic(self, vpc: ec2.Vpc) -> None:
        log_group = logs.LogGroup(
            self,
            "RefusedTraffic",
            retention=self.stage.log_retention,
            removal_policy=self.stage.removal,
        )
        vpc.add_flow_log(
            "Refused",
            traffic_type=ec2.FlowLogTrafficType.REJECT,
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group),
        )

    def _reach_aws(self, vpc: ec2.Vpc, callers: ec2.SecurityGroup) -> None:
        """What REST functions ask of AWS: their table, secrets, the signature of a token."""
        service = ec2.InterfaceVpcEndpointAwsService
        vpc.add_gateway_endpoint("Tables", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        for name, asked in (("Secrets", service.SECRETS_MANAGER), ("Signatures", service.KMS)):
            endpoint = vpc.add_interface_endpoint(name, service=asked, open=False)
            endpoint.connections.allow_default_port_from(callers)


def _ids(subnets: Sequence[ec2.ISubnet]) -> list[str]:
    return [subnet.subnet_id for subnet in subnets]
