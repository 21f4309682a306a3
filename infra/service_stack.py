"""What every service gets: a table, its functions and REST API, a relay out and a queue in."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sam as sam
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from chalice.cdk import Chalice
from common.events.catalogue import consumed_by, sources_of

from infra.gateway_errors import gateway_responses
from infra.grants import may_read_secret
from infra.packaging import assemble, exclusively, only
from infra.stage import Stage

VISIBILITY = cdk.Duration.seconds(60)
MAX_RECEIVES = 5


class ServiceStack(cdk.Stack):
    """A subclass states only what is special about its service."""

    service: str

    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named(self.service), synthesizer=stage.synthesizer)
        self.stage = stage
        self.bus = events.EventBus.from_event_bus_name(self, "Bus", stage.bus)
        self.table = self._table()
        self.dead_letters = self._dead_letters()
        self.role = self._role()
        with exclusively():
            self.chalice = self._chalice()
        self._rest_api()
        self._limit_requests()
        if sources_of(self.service):
            self._relay_outbox()
        if consumed_by(self.service):
            self._consume()
        self.extend()

    def variables(self) -> dict[str, str]:
        """The environment of all functions of the service."""
        return {
            "TABLE_NAME": self.table.table_name,
            "EVENT_BUS": self.stage.bus,
            "DEAD_LETTERS_URL": self.dead_letters.queue_url,
            "CURSOR_SECRET": self.stage.named("cursor-key"),
        }

    def extend(self) -> None:
        """What only this service has."""

    def function(self, name: str) -> sam.CfnFunction:
        """A Chalice Lambda function, by its name in app.py."""
        resource = self.chalice.get_resource("".join(p.title() for p in name.split("_")))
        assert isinstance(resource, sam.CfnFunction)
        return resource

    def function_arn(self, name: str) -> str:
        return self.function(name).get_att("Arn").to_string()

    def publish_parameter(self, value: str, *path: str) -> None:
        name = self.stage.parameter(self.service, *path)
        ssm.StringParameter(
            self, "".join(map(str.title, path)), parameter_name=name, string_value=value
        )

    def grant_secret(self, name: str) -> None:
        may_read_secret(self, self.role, self.stage.named(name))

    def grant(self, *actions: str, on: Sequence[str], when: dict[str, Any] | None = None) -> None:
        self.role.add_to_policy(
            iam.PolicyStatement(actions=list(actions), resources=list(on), conditions=when)
        )

    def _table(self) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=_key("PK"),
            sort_key=_key("SK"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.NEW_IMAGE,
            time_to_live_attribute="TTL",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=self.stage.removal,
        )
        table.add_global_secondary_index(
            index_name="GSI1", partition_key=_key("GSI1PK"), sort_key=_key("GSI1SK")
        )
        return table

    def _dead_letters(self) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            "DeadLetters",
            retention_period=cdk.Duration.days(14),
            enforce_ssl=not self.stage.local,
        )
        queue.metric_approximate_number_of_messages_visible().create_alarm(
            self,
            "DeadLettersAlarm",
            threshold=1,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        return queue

    def _role(self) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AWSLambdaBasicExecutionRole"
                )
            ],
        )
        self.table.grant_read_write_data(role)
        self.dead_letters.grant_send_messages(role)
        return role

    def _chalice(self) -> Chalice:
        source = assemble(self.service, self.stage.bundles_dependencies)
        config = {
            "api_gateway_stage": "api",
            "api_gateway_endpoint_type": "REGIONAL",
            "manage_iam_role": False,
            "iam_role_arn": self.role.role_arn,
            "environment_variables": self.variables(),
            "lambda_memory_size": 512,
            "lambda_timeout": 30,
        }
        with only(
            source, {"AUTHORIZER_URI": self._authorizer_uri(), "AWS_DEFAULT_REGION": "us-east-1"}
        ):
            chalice = Chalice(self, "Chalice", source_dir=str(source), stage_config=config)
        package = Path(chalice._sam_package_dir)  # both are in the template and the assets by now
        shutil.rmtree(package)
        package.with_name(f"{package.name}.sam_with_assets.json").unlink()
        self.grant_secret("cursor-key")
        return chalice

    def _of_platform(self, name: str) -> str:
        parameter = self.stage.parameter("platform", name)
        return ssm.StringParameter.value_for_string_parameter(self, parameter)

    def _limit_requests(self) -> None:
        """REST functions alone count requests, and so alone need to reach the cache."""
        rest = self.chalice.get_resource("APIHandler")
        assert isinstance(rest, sam.CfnFunction)
        variables = {
            "REDIS_URL": self._of_platform("cache-url"),
            "ADDRESS_REQUESTS_PER_MINUTE": str(self.stage.address_requests_per_minute),
        }
        if self.stage.has_cloudfront:
            variables["FRONT_DOOR_SECRET"] = self.stage.named("front-door")
            self.grant_secret("front-door")
        for name, value in variables.items():
            rest.add_property_override(f"Environment.Variables.{name}", value)
        if self.stage.isolates_cache:
            self._join_the_caches_network(rest)

    def _join_the_caches_network(self, function: sam.CfnFunction) -> None:
        subnets = ssm.StringListParameter.value_for_typed_list_parameter(
            self, self.stage.parameter("platform", "subnets")
        )
        function.vpc_config = sam.CfnFunction.VpcConfigProperty(
            security_group_ids=[self._of_platform("cache-callers")], subnet_ids=subnets
        )
        self.role.add_managed_policy(
            iam.ManagedPolicy.from_aws_managed_policy_name(
                "service-role/AWSLambdaVPCAccessExecutionRole"
            )
        )

    def _authorizer_uri(self) -> str:
        function = self.format_arn(
            service="lambda",
            resource="function",
            resource_name=self.stage.authorizer,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        path = f"lambda:path/2015-03-31/functions/{function}/invocations"
        return f"arn:{self.partition}:apigateway:{self.region}:{path}"

    def _rest_api(self) -> None:
        api = self.chalice.get_resource("RestAPI")
        assert isinstance(api, sam.CfnApi)
        self.publish_parameter(api.ref, "rest-api")
        self.publish_parameter(
            json.dumps(sorted(cast(dict[str, Any], api.definition_body)["paths"])), "routes"
        )
        lambda_.CfnPermission(
            self,
            "MayAuthorize",
            action="lambda:InvokeFunction",
            function_name=self.stage.authorizer,
            principal="apigateway.amazonaws.com",
            source_arn=self.format_arn(
                service="execute-api", resource=api.ref, resource_name="authorizers/*"
            ),
        )
        self._render_gateway_errors(api)

    def _render_gateway_errors(self, api: sam.CfnApi) -> None:
        """In the OpenAPI document, not as resources: a deployment takes a snapshot of it."""
        document = cast(dict[str, Any], api.definition_body)
        api.definition_body = document | {
            "x-amazon-apigateway-gateway-responses": gateway_responses(),
            "securityDefinitions": _seeing_the_request(document["securityDefinitions"]),
        }

    def _relay_outbox(self) -> None:
        stream = self.table.table_stream_arn
        assert stream is not None
        reads = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
        self.grant(*(f"dynamodb:{read}" for read in reads), on=[stream])
        condition = {"StringEquals": {"events:source": list(sources_of(self.service))}}
        when = condition if self.stage.limits_event_sources else None
        self.grant("events:PutEvents", on=[self.bus.event_bus_arn], when=when)
        pattern = {
            "eventName": ["INSERT"],
            "dynamodb": {"Keys": {"PK": {"S": [{"prefix": "OUTBOX#"}]}}},
        }
        lambda_.CfnEventSourceMapping(
            self,
            "OutboxStream",
            function_name=self.function("relay_outbox").ref,
            event_source_arn=self.table.table_stream_arn,
            starting_position="TRIM_HORIZON",
            batch_size=100,
            bisect_batch_on_function_error=True,
            maximum_record_age_in_seconds=3600,
            maximum_retry_attempts=10,
            filter_criteria={"filters": [{"pattern": self.to_json_string(pattern)}]},
            destination_config={"onFailure": {"destination": self.dead_letters.queue_arn}},
        )
        sweeper = lambda_.Function.from_function_attributes(
            self, "Sweeper", function_arn=self.function_arn("relay_outbox"), same_environment=True
        )
        events.Rule(
            self,
            "SweepOutbox",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[
                targets.LambdaFunction(
                    sweeper, event=events.RuleTargetInput.from_object({"sweep": True})
                )
            ],
        )

    def _consume(self) -> None:
        queue = sqs.Queue(
            self,
            "Inbox",
            visibility_timeout=VISIBILITY,
            enforce_ssl=not self.stage.local,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=MAX_RECEIVES
            ),
        )
        queue.grant_consume_messages(self.role)
        lambda_.CfnEventSourceMapping(
            self,
            "InboxSource",
            function_name=self.function("consume").ref,
            event_source_arn=queue.queue_arn,
            batch_size=10,
            function_response_types=["ReportBatchItemFailures"],
            # Events of one busy agent meet at one row: more at once would only wait for each other.
            scaling_config={"maximumConcurrency": 10},
        )
        for event in consumed_by(self.service):
            rule = events.Rule(self, f"On{event.__name__}", event_bus=self.bus)
            rule.add_event_pattern(**_event_pattern(event.pattern()))
            rule.add_target(targets.SqsQueue(queue, dead_letter_queue=self.dead_letters))


def _event_pattern(pattern: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in pattern.items()}


def _seeing_the_request(definitions: dict[str, Any]) -> dict[str, Any]:
    """Chalice knows only authorizers that get one header; ours also needs the address, and to see
    a second credential. Answers are kept per Authorization header all the same."""
    kind = "x-amazon-apigateway-authorizer"
    source = {"type": "request", "identitySource": "method.request.header.Authorization"}
    return {name: each | {kind: each[kind] | source} for name, each in definitions.items()}


def _key(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
