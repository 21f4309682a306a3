"""What exactly differs between the stage `local` and a real one, and between real ones."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from infra.stage import SERVICES
from infra.tests.synthesis import Synthesis, Template

Templates = dict[str, Template]
CODE = ("Code", "CodeUri")
STAGES = ("local", "staging", "production")


def differences(one: Templates, other: Templates) -> set[str]:
    """`part: Type` of what only one of them has, `part: Type.Property` of what is not the same."""
    return {
        f"{'*' if part in SERVICES else part}: {difference}"
        for part in one.keys() | other.keys()
        for difference in _between(_resources(one, part), _resources(other, part))
    }


def _resources(templates: Templates, part: str) -> dict[str, Any]:
    found = templates.get(part, {}).get("Resources", {})
    return {_id_without_stage(name): resource for name, resource in found.items()}


def _id_without_stage(name: str) -> str:
    """Some ids carry the stage, and a hash of it."""
    return re.sub(rf"agentic({'|'.join(STAGES)})\w*", "agentic", name)


def _between(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    for name in one.keys() | other.keys():
        if name not in one or name not in other:
            yield (one.get(name) or other[name])["Type"]
        else:
            yield from _within(one[name], other[name])


def _within(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    for key in ("DeletionPolicy", "UpdateReplacePolicy"):
        if one.get(key) != other.get(key):
            yield f"{one['Type']} {key}"
    ours, theirs = one.get("Properties", {}), other.get("Properties", {})
    for key in ours.keys() | theirs.keys():
        if key not in CODE and _same(ours.get(key)) != _same(theirs.get(key)):
            yield f"{one['Type']}.{key}"


def _same(value: Any) -> str:
    """Names carry the stage."""
    text = json.dumps(value, sort_keys=True)
    return re.sub(rf"agentic[-/]?({'|'.join(STAGES)})\w*", "agentic", text)


DIFFERENCES = {
    "The emulator has no X-Ray, no access logs, no limits of an API, no logs of a machine.": [
        "*: AWS::ApiGatewayV2::Stage.AccessLogSettings",
        "*: AWS::Serverless::Api.AccessLogSetting",
        "*: AWS::Serverless::Api.MethodSettings",
        "*: AWS::Serverless::Api.TracingEnabled",
        "platform: AWS::ApiGateway::Account",
        "platform: AWS::IAM::Policy",
        "platform: AWS::IAM::Role",
        "platform: AWS::Logs::LogGroup",
        "workflows: AWS::IAM::Policy.PolicyDocument",
        "*: AWS::CloudWatch::Alarm",
        "dashboard: AWS::CloudWatch::Dashboard",
        "workflows: AWS::CloudWatch::Alarm",
        "workflows: AWS::StepFunctions::StateMachine.LoggingConfiguration",
        "workflows: AWS::StepFunctions::StateMachine.TracingConfiguration",
    ],
    "What a real stage holds survives mistakes; a laptop's goes with its platform.": [
        "*: AWS::DynamoDB::Table DeletionPolicy",
        "*: AWS::DynamoDB::Table UpdateReplacePolicy",
        "*: AWS::DynamoDB::Table.DeletionProtectionEnabled",
        "*: AWS::Logs::LogGroup DeletionPolicy",
        "*: AWS::Logs::LogGroup UpdateReplacePolicy",
        "*: AWS::Logs::LogGroup.RetentionInDays",
        "*: AWS::SecretsManager::Secret DeletionPolicy",
        "*: AWS::SecretsManager::Secret UpdateReplacePolicy",
        "platform: AWS::KMS::Key DeletionPolicy",
        "platform: AWS::KMS::Key UpdateReplacePolicy",
        "platform: AWS::SecretsManager::Secret DeletionPolicy",
        "platform: AWS::SecretsManager::Secret UpdateReplacePolicy",
        "tools: AWS::DynamoDB::Table DeletionPolicy",
        "tools: AWS::DynamoDB::Table UpdateReplacePolicy",
        "tools: AWS::DynamoDB::Table.DeletionProtectionEnabled",
        "tools: AWS::Logs::LogGroup DeletionPolicy",
        "tools: AWS::Logs::LogGroup UpdateReplacePolicy",
        "tools: AWS::Logs::LogGroup.RetentionInDays",
        "workflows: AWS::Logs::LogGroup DeletionPolicy",
        "workflows: AWS::Logs::LogGroup UpdateReplacePolicy",
        "workflows: AWS::Logs::LogGroup.RetentionInDays",
    ],
    "Who may read those secrets; and under which sources a service may publish.": [
        "*: AWS::IAM::Policy.PolicyDocument",
    ],
    "The cache's own network, its password, and sizes; the seal of the alarms' topic.": [
        "*: AWS::IAM::Role.ManagedPolicyArns",
        "*: AWS::Serverless::Function.VpcConfig",
        "platform: AWS::EC2::FlowLog",
        "platform: AWS::EC2::EIP",
        "platform: AWS::SNS::Topic.KmsMasterKeyId",
        "platform: AWS::SNS::TopicPolicy.PolicyDocument",
        "platform: AWS::KMS::Key.KeyPolicy",
        "platform: AWS::EC2::InternetGateway",
        "platform: AWS::EC2::NatGateway",
        "platform: AWS::EC2::Route",
        "platform: AWS::EC2::RouteTable",
        "platform: AWS::EC2::SecurityGroup",
        "platform: AWS::EC2::SecurityGroupIngress",
        "platform: AWS::EC2::Subnet",
        "platform: AWS::EC2::SubnetRouteTableAssociation",
        "platform: AWS::EC2::VPC",
        "platform: AWS::EC2::VPCEndpoint",
        "platform: AWS::EC2::VPCGatewayAttachment",
        "platform: AWS::ElastiCache::ReplicationGroup.AtRestEncryptionEnabled",
        "platform: AWS::ElastiCache::ReplicationGroup.AuthToken",
        "platform: AWS::ElastiCache::ReplicationGroup.AutomaticFailoverEnabled",
        "platform: AWS::ElastiCache::ReplicationGroup.CacheNodeType",
        "platform: AWS::ElastiCache::ReplicationGroup.CacheSubnetGroupName",
        "platform: AWS::ElastiCache::ReplicationGroup.MultiAZEnabled",
        "platform: AWS::ElastiCache::ReplicationGroup.NumCacheClusters",
        "platform: AWS::ElastiCache::ReplicationGroup.Port",
        "platform: AWS::ElastiCache::ReplicationGroup.SecurityGroupIds",
        "platform: AWS::ElastiCache::ReplicationGroup.TransitEncryptionEnabled",
        "platform: AWS::ElastiCache::SubnetGroup",
        "platform: AWS::SSM::Parameter",
        "platform: AWS::SSM::Parameter.Value",
    ],
    "The emulator knows no condition on transport.": [
        "*: AWS::SQS::QueuePolicy",
        "*: AWS::SQS::QueuePolicy.PolicyDocument",
    ],
    "Those of the cache and of CloudFront; how many traces are told.": [
        "*: AWS::Serverless::Function.Environment",
        "platform: AWS::SecretsManager::Secret",
    ],
    "CloudFront, its firewall and its logs; on the laptop a local front door.": [
        "front-door: AWS::CloudFront::Distribution",
        "front-door: AWS::CloudFront::Function",
        "front-door: AWS::S3::Bucket",
        "front-door: AWS::S3::BucketPolicy",
        "front-door: AWS::SSM::Parameter",
        "front-door: AWS::WAFv2::WebACL",
    ],
    "The emulator knows no archive, and no policy of a bus.": [
        "platform: AWS::Events::Archive",
        "platform: AWS::Events::EventBusPolicy",
    ],
}


def test_the_laptop_differs_in_this_and_nothing_else(synthesis: Callable[..., Synthesis]) -> None:
    expected = {each for listed in DIFFERENCES.values() for each in listed}
    found = differences(synthesis("local").templates, synthesis("production").templates)
    assert found == expected


def test_production_differs_from_staging_in_this_and_nothing_else(
    synthesis: Callable[..., Synthesis],
) -> None:
    found = differences(synthesis("staging").templates, synthesis("production").templates)
    cache = "platform: AWS::ElastiCache::ReplicationGroup"
    logs = "AWS::Logs::LogGroup.RetentionInDays"
    assert found == {
        *(f"{cache}.{name}" for name in ("AutomaticFailoverEnabled", "CacheNodeType")),
        *(f"{cache}.{name}" for name in ("MultiAZEnabled", "NumCacheClusters")),
        *(f"{part}: {logs}" for part in ("*", "platform", "tools", "workflows")),
        "*: AWS::Serverless::Function.Environment",  # production tells a tenth of its traces
    }
