"""What the services share: the bus, its archive, the cache, keys and provider secrets."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm

from infra.stage import Stage

GENERATED = secretsmanager.SecretStringGenerator(password_length=64, exclude_punctuation=True)
"""Said in full: what is left to the default is left empty by the emulator."""
PROVIDERS = ("openai", "anthropic")


class PlatformStack(cdk.Stack):
    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("platform"), synthesizer=stage.synthesizer)
        self.stage = stage
        events.EventBus(self, "Bus", event_bus_name=stage.bus)
        self._secrets()
        self._cache()

    def _secrets(self) -> None:
        key = kms.Key(self, "Key", enable_key_rotation=True, removal_policy=self.stage.removal)
        for name in ("cursor-key", *(f"{provider}-key" for provider in PROVIDERS)):
            secretsmanager.Secret(
                self,
                name.title().replace("-", ""),
                secret_name=self.stage.named(name),
                generate_secret_string=GENERATED,
                encryption_key=key,
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
            cache_node_type="cache.t4g.micro",
            num_cache_clusters=1,
            automatic_failover_enabled=False,
            cache_parameter_group_name=parameters.ref,
            **(self._isolated() if self.stage.isolates_cache else {}),
        )
        scheme = "rediss" if self.stage.isolates_cache else "redis"
        ssm.StringParameter(
            self,
            "CacheUrl",
            parameter_name=self.stage.parameter("platform", "cache-url"),
            string_value=f"{scheme}://{cache.attr_primary_end_point_address}:{cache.attr_primary_end_point_port}",
        )

    def _isolated(self) -> dict[str, Any]:
        vpc = ec2.Vpc(self, "Network", max_azs=2, nat_gateways=0)
        group = ec2.SecurityGroup(self, "CacheAccess", vpc=vpc, allow_all_outbound=False)
        subnets = elasticache.CfnSubnetGroup(
            self,
            "CacheSubnets",
            description="Private subnets of the cache",
            subnet_ids=[subnet.subnet_id for subnet in vpc.isolated_subnets],
        )
        return {
            "cache_subnet_group_name": subnets.ref,
            "security_group_ids": [group.security_group_id],
            "transit_encryption_enabled": True,
            "at_rest_encryption_enabled": True,
        }
