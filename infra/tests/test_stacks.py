"""The templates: what CloudFormation is asked for, on the laptop and on AWS."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from common.events.catalogue import consumed_by, sources_of
from common.freshness import KEY_SET_SECONDS

from infra.packaging import ROOT
from infra.services import SERVICE_STACKS
from infra.stage import SERVICES
from infra.tests.synthesis import Template, resources


def as_text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def statements(template: Template) -> Iterator[dict[str, Any]]:
    for policy in resources(template, "AWS::IAM::Policy").values():
        yield from policy["PolicyDocument"]["Statement"]


def actions(statement: dict[str, Any]) -> set[str]:
    value = statement["Action"]
    return {value} if isinstance(value, str) else set(value)


def test_there_is_a_stack_for_every_service() -> None:
    assert tuple(SERVICE_STACKS) == SERVICES


def test_no_stack_needs_another_ones_export(templates: dict[str, Template]) -> None:
    for template in templates.values():
        assert "Fn::ImportValue" not in json.dumps(template)
        assert not [o for o in template.get("Outputs", {}).values() if "Export" in o]


@pytest.mark.parametrize("service", SERVICES)
def test_the_rules_are_the_catalogues(templates: dict[str, Template], service: str) -> None:
    rules = resources(templates[service], "AWS::Events::Rule").values()
    patterns = [rule["EventPattern"] for rule in rules if "EventPattern" in rule]
    expected = [event.pattern() for event in consumed_by(service)]
    assert sorted(map(as_text, patterns)) == sorted(map(as_text, expected))


@pytest.mark.parametrize("service", SERVICES)
def test_every_target_and_queue_has_dead_letters(
    templates: dict[str, Template], service: str
) -> None:
    template = templates[service]
    for rule in resources(template, "AWS::Events::Rule").values():
        if "EventPattern" in rule:
            assert all("DeadLetterConfig" in target for target in rule["Targets"])
    queues = resources(template, "AWS::SQS::Queue")
    assert [name for name, queue in queues.items() if "RedrivePolicy" not in queue] == [
        name for name in queues if name.startswith("DeadLetters")
    ]
    assert resources(template, "AWS::CloudWatch::Alarm")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_publishes_under_its_own_sources_alone(
    templates: dict[str, Template], service: str
) -> None:
    puts = [s for s in statements(templates[service]) if "events:PutEvents" in actions(s)]
    allowed = [s["Condition"]["StringEquals"]["events:source"] for s in puts]
    assert allowed == ([list(sources_of(service))] if sources_of(service) else [])


def granted(template: dict[str, Any], role: str) -> dict[str, dict[str, Any]]:
    """Action → the statement that allows it, of one role."""
    return {
        action: statement
        for policy in resources(template, "AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in actions(statement)
    }


def role_of(template: dict[str, Any], function: str) -> str:
    return str(resources(template, "AWS::Serverless::Function")[function]["Role"]["Fn::GetAtt"][0])


def test_the_authorizer_reads_and_leaves_notes_and_nothing_else(
    templates: dict[str, Template],
) -> None:
    allowed = granted(templates["auth"], role_of(templates["auth"], "Authorize"))
    assert not [action for action in allowed if "Put" in action or "Delete" in action]
    assert {action.split(":")[0] for action in allowed} == {
        "dynamodb",
        "sqs",
        "secretsmanager",
        "kms",
    }
    assert "agentic-staging-front-door" in as_text(allowed["secretsmanager:GetSecretValue"])
    assert {action for action in allowed if action.startswith("kms")} == {"kms:Decrypt"}
    assert {action for action in allowed if action.startswith("sqs")} == {
        "sqs:SendMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
    }


def test_the_authorizer_is_there_before_it_may_be_asked(templates: dict[str, Template]) -> None:
    template = templates["auth"]
    function = resources(template, "AWS::Serverless::Function")["Authorize"]
    (permission,) = [
        each
        for each in resources(template, "AWS::Lambda::Permission").values()
        if each["FunctionName"] == function["FunctionName"]
    ]
    assert permission["Principal"] == "apigateway.amazonaws.com"
    dependencies = template["Resources"]["MayAuthorize"]["DependsOn"]
    assert dependencies in ("Authorize", ["Authorize"])


def test_signing_keys_are_made_by_operators_alone_and_used_by_their_tag(
    templates: dict[str, Template],
) -> None:
    template = templates["auth"]
    service = granted(template, role_of(template, "APIHandler"))
    operator = granted(template, role_of(template, "RotateSigningKey"))
    assert {action for action in service if action.startswith("kms:")} >= {"kms:Sign"}
    assert "kms:CreateKey" in operator.keys() - service.keys()
    assert "kms:Sign" not in operator
    for statement in (service["kms:Sign"], operator["kms:CreateKey"]):
        assert "agentic-staging" in json.dumps(statement["Condition"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_revocation_counts_within_a_minute(templates: dict[str, Template], service: str) -> None:
    """What API Gateway keeps and what the authorizer keeps come one after the other."""
    (api,) = resources(templates[service], "AWS::Serverless::Api").values()
    definition = api["DefinitionBody"]["securityDefinitions"]["platform"]
    authorizer = definition["x-amazon-apigateway-authorizer"]
    assert authorizer["type"] == "request"
    assert authorizer["identitySource"] == "method.request.header.Authorization"
    assert 0 < authorizer["authorizerResultTtlInSeconds"] + KEY_SET_SECONDS <= 60


def test_tasks_may_invoke_tools_alone(templates: dict[str, Template]) -> None:
    invokes = [s for s in statements(templates["tasks"]) if "lambda:InvokeFunction" in actions(s)]
    assert len(invokes) == 1
    assert "function:agentic-tool-*" in json.dumps(invokes[0]["Resource"])


@pytest.mark.parametrize("service", SERVICES)
def test_who_may_read_a_secret_may_decrypt_it_and_nothing_else(
    templates: dict[str, Template], service: str
) -> None:
    """No emulated call needs the second permission; on AWS no secret could be read without it."""
    found = list(statements(templates[service]))
    secrets = [s["Resource"] for s in found if "secretsmanager:GetSecretValue" in actions(s)]
    decrypts = [s["Condition"] for s in found if "kms:Decrypt" in actions(s)]
    assert secrets
    assert [c["StringLike"]["kms:EncryptionContext:SecretARN"] for c in decrypts] == secrets
    assert all("secretsmanager." in json.dumps(c["StringEquals"]) for c in decrypts)


@pytest.mark.parametrize("service", SERVICES)
def test_no_permission_is_for_everything(templates: dict[str, Template], service: str) -> None:
    for statement in statements(templates[service]):
        assert "*" not in actions(statement)
        assert statement["Resource"] != "*" or "Condition" in statement, statement


@pytest.mark.parametrize("service", SERVICES)
def test_tables_survive_mistakes(templates: dict[str, Template], service: str) -> None:
    (table,) = resources(templates[service], "AWS::DynamoDB::Table").values()
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["TimeToLiveSpecification"] == {"AttributeName": "TTL", "Enabled": True}


def test_the_front_door_routes_by_the_services_paths(templates: dict[str, Template]) -> None:
    (distribution,) = resources(templates["front-door"], "AWS::CloudFront::Distribution").values()
    behaviors = distribution["DistributionConfig"]["CacheBehaviors"]
    patterns = [behavior["PathPattern"] for behavior in behaviors]
    assert patterns.index("/agents/*/tasks*") < patterns.index("/agents*")
    assert patterns.index("/agents/*/status*") < patterns.index("/agents*")
    assert len(patterns) <= 25


def test_the_deployed_routes_are_the_documented_ones(templates: dict[str, Template]) -> None:
    deployed: set[tuple[str, str]] = set()
    for service in SERVICES:
        (api,) = resources(templates[service], "AWS::Serverless::Api").values()
        paths = api["DefinitionBody"]["paths"]
        deployed |= {(path, method) for path, told in paths.items() for method in told}
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    assert deployed == {(p, method) for p, told in document["paths"].items() for method in told}


def rest_function(templates: dict[str, Template], service: str) -> dict[str, Any]:
    return dict(resources(templates[service], "AWS::Serverless::Function")["APIHandler"])


def parameter(template: Template, reference: dict[str, str]) -> str:
    """The SSM parameter that a reference to a template's parameter stands for."""
    return str(template["Parameters"][reference["Ref"]]["Default"])


def published(templates: dict[str, Template], name: str) -> Any:
    found = resources(templates["platform"], "AWS::SSM::Parameter").values()
    (value,) = [p["Value"] for p in found if p["Name"] == f"/agentic/staging/platform/{name}"]
    return value


def as_list(value: dict[str, Any]) -> list[dict[str, str]]:
    """What CloudFormation is to join with commas."""
    return list(value["Fn::Join"][1])


ASKING_THE_CACHE = {
    "agents": ("Consume",),
    "tasks": ("Consume", "Converse", "PlanTask", "ExecuteStep"),
}
"""Beside the REST functions."""


@pytest.mark.parametrize("service", SERVICES)
def test_only_who_asks_the_cache_knows_of_it(templates: dict[str, Template], service: str) -> None:
    functions = resources(templates[service], "AWS::Serverless::Function")
    knowing = {
        name
        for name, function in functions.items()
        if "REDIS_URL" in function["Environment"]["Variables"] or "VpcConfig" in function
    }
    assert knowing == {"APIHandler", *ASKING_THE_CACHE.get(service, ())}
    for name in knowing:
        assert "VpcConfig" in functions[name]
        url = parameter(
            templates[service], functions[name]["Environment"]["Variables"]["REDIS_URL"]
        )
        assert url == "/agentic/staging/platform/cache-url"
    variables = functions["APIHandler"]["Environment"]["Variables"]
    assert variables["ADDRESS_REQUESTS_PER_MINUTE"] == "6000"


@pytest.mark.parametrize("service", SERVICES)
def test_the_rest_function_is_where_the_cache_can_be_reached(
    templates: dict[str, Template], service: str
) -> None:
    template = templates[service]
    network = rest_function(templates, service)["VpcConfig"]
    (group,) = network["SecurityGroupIds"]
    assert parameter(template, group) == "/agentic/staging/platform/cache-callers"
    assert parameter(template, network["SubnetIds"]) == "/agentic/staging/platform/subnets"
    policies = json.dumps(list(resources(template, "AWS::IAM::Role").values()))
    assert "AWSLambdaVPCAccessExecutionRole" in policies


def test_the_cache_admits_its_callers_and_nobody_else(templates: dict[str, Template]) -> None:
    template = templates["platform"]
    callers = published(templates, "cache-callers")
    (cache,) = resources(template, "AWS::ElastiCache::ReplicationGroup").values()
    admitted = [
        (rule["GroupId"], rule["FromPort"], rule["ToPort"], rule["SourceSecurityGroupId"])
        for rule in resources(template, "AWS::EC2::SecurityGroupIngress").values()
        if rule["GroupId"] in cache["SecurityGroupIds"]
    ]
    assert admitted == [(cache["SecurityGroupIds"][0], 6379, 6379, callers)]
    assert cache["Port"] == 6379
    inline = [g for g in resources(template, "AWS::EC2::SecurityGroup").values()]
    assert not [group for group in inline if "SecurityGroupIngress" in group]


def test_from_the_caches_network_aws_is_reached_without_the_internet(
    templates: dict[str, Template],
) -> None:
    endpoints = resources(templates["platform"], "AWS::EC2::VPCEndpoint").values()
    kinds = {
        as_text(each["ServiceName"]).rpartition(".")[2].rstrip('"]}'): each["VpcEndpointType"]
        for each in endpoints
    }
    assert kinds == {"dynamodb": "Gateway", "secretsmanager": "Interface", "kms": "Interface"}


def test_from_the_isolated_subnets_there_is_no_way_out(templates: dict[str, Template]) -> None:
    template = templates["platform"]
    isolated = {each["Ref"] for each in as_list(published(templates, "subnets"))}
    outward = {each["Ref"] for each in as_list(published(templates, "outward-subnets"))}
    assert len(isolated) == len(outward) == 2
    tables = {
        a["RouteTableId"]["Ref"]: a["SubnetId"]["Ref"]
        for a in resources(template, "AWS::EC2::SubnetRouteTableAssociation").values()
    }
    leaving = {
        tables[route["RouteTableId"]["Ref"]]: "NatGatewayId" in route
        for route in resources(template, "AWS::EC2::Route").values()
    }
    assert not isolated & leaving.keys()
    assert all(leaving[subnet] for subnet in outward)


@pytest.mark.parametrize("service", SERVICES)
def test_the_rest_function_can_tell_who_came_through_cloudfront(
    templates: dict[str, Template], service: str
) -> None:
    variables = rest_function(templates, service)["Environment"]["Variables"]
    assert variables["FRONT_DOOR_SECRET"] == "agentic-staging-front-door"
    may = [s for s in statements(templates[service]) if "GetSecretValue" in as_text(s["Action"])]
    assert "staging-front-door-*" in as_text(may)


def test_cloudfront_shows_every_service_its_secret(templates: dict[str, Template]) -> None:
    (distribution,) = resources(templates["front-door"], "AWS::CloudFront::Distribution").values()
    for origin in distribution["DistributionConfig"]["Origins"]:
        (header,) = origin["OriginCustomHeaders"]
        assert header == {
            "HeaderName": "x-front-door",
            "HeaderValue": "{{resolve:secretsmanager:agentic-staging-front-door:SecretString:::}}",
        }


def built(folder: Path) -> dict[str, str]:
    """What is deployed for the events service alone: its templates and packages, by their names."""
    environment = os.environ | {
        "CDK_CONTEXT_JSON": json.dumps({"stage": "local", "only": "events"}),
        "CDK_OUTDIR": str(folder),
    }
    subprocess.run([sys.executable, "-m", "infra.app"], cwd=ROOT, env=environment, check=True)
    found = [*folder.glob("*.template.json"), *folder.glob("asset.*.zip")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def test_deploying_one_service_builds_that_service_alone(tmp_path: Path) -> None:
    template, package = sorted(built(tmp_path))
    assert template == "agentic-local-events.template.json"
    assert package.startswith("asset.")


def test_a_service_that_did_not_change_is_built_the_same_again(tmp_path: Path) -> None:
    """So that deploying it a second time does nothing."""
    assert built(tmp_path / "first") == built(tmp_path / "second")


def test_every_handshake_is_the_authorizers_to_refuse(templates: dict[str, Template]) -> None:
    """Were a header an identity source, API Gateway would refuse browsers, which cannot set it."""
    (authorizer,) = resources(templates["status"], "AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["AuthorizerType"] == "REQUEST"
    assert not authorizer.get("IdentitySource")
    routes = resources(templates["status"], "AWS::ApiGatewayV2::Route").values()
    kinds = {each["RouteKey"]: each for each in routes}
    assert kinds.keys() == {"$connect", "$disconnect", "$default"}
    assert kinds["$connect"]["AuthorizationType"] == "CUSTOM"
    (live,) = resources(templates["status"], "AWS::ApiGatewayV2::Stage").values()
    assert live["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0


def test_without_allowed_origins_no_page_may(templates: dict[str, Template]) -> None:
    assert not resources(templates["front-door"], "AWS::CloudFront::ResponseHeadersPolicy")
