"""What every service gets: a table, its functions and REST API, a relay out and a queue in."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sam as sam
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from chalice.cdk import Chalice
from common.events.catalogue import consumed_by, sources_of
from common.events.delivery import MAX_RECEIVES

from infra.alarms import FIVE_MINUTES, MINUTE, Alarms
from infra.cache_access import CacheAccess
from infra.grants import allow, may_read_secret
from infra.packaging import assemble, exclusively, only
from infra.rest_api import RestApi, authorizer_uri
from infra.stage import Stage

METRICS_OF_AN_ALARM = 10
"""What CloudWatch takes in the expression of one alarm."""
VISIBILITY = cdk.Duration.seconds(60)
OUTBOX_SECONDS = 300
"""The sweep comes every minute: what it could not publish five times needs somebody."""


class ServiceStack(cdk.Stack):
    """A subclass states only what is special about its service."""

    service: str
    cached: tuple[str, ...] = ()
    """The functions that change what the REST function may have cached."""

    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named(self.service), synthesizer=stage.synthesizer)
        self.stage = stage
        self.bus = events.EventBus.from_event_bus_name(self, "Bus", stage.bus)
        self.log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=stage.log_group(self.service),
            retention=stage.log_retention,
            removal_policy=stage.removal,
        )
        self.alarms = Alarms(self, stage, self.service)
        self.table = self._table()
        self.dead_letters = self._dead_letters()
        self.role = self._role()
        with exclusively():
            self.chalice = self._chalice()
        self.cache = CacheAccess(self, stage, self.role)
        for name in self.cached:
            self.cache.give(self.function(name))
        self.rest_api = self._rest_api()
        if sources_of(self.service):
            self._relay_outbox()
        if consumed_by(self.service):
            self._consume()
        if stage.observes:
            self._watch()
        self.extend()

    def variables(self) -> dict[str, str]:
        """The environment of all functions of the service."""
        return {
            "TABLE_NAME": self.table.table_name,
            "EVENT_BUS": self.stage.bus,
            "DEAD_LETTERS_URL": self.dead_letters.queue_url,
            "CURSOR_SECRET": self.stage.named("cursor-key"),
            "METRICS_NAMESPACE": self.stage.metrics,
            "TRACES_SAMPLED": self.stage.traces_sampled,
            "SERVICE": self.service,
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
        allow(self.role, *actions, on=on, when=when)

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
            deletion_protection=self.stage.protects_data,
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
            queue_name=self.stage.dead_letters(self.service),
            retention_period=cdk.Duration.days(14),
            enforce_ssl=not self.stage.local,
        )
        waiting = queue.metric_approximate_number_of_messages_visible(period=MINUTE)
        what = "An event of this service could not be handled or published"
        self.alarms.ring("DeadLettersAlarm", waiting, "dead-letters", what)
        return queue

    def _watch(self) -> None:
        """Errors and throttles of all functions; events that wait to be published."""
        functions = [f for f in self.chalice.node.find_all() if isinstance(f, sam.CfnFunction)]
        for metric, runbook, at in (("Errors", "errors", 5), ("Throttles", "throttles", 1)):
            what = f"{metric} of the service's functions"
            for place in range(0, len(functions), METRICS_OF_AN_ALARM):
                some = functions[place : place + METRICS_OF_AN_ALARM]
                name = metric if place == 0 else f"{metric}From{place}"
                self.alarms.ring(name, _of_functions(metric, some), runbook, what, at)
        refused = self.rest_api.server_errors
        self.alarms.ring("ServerErrors", refused, "errors", "Requests answered with 5xx", 5)
        if sources_of(self.service):
            age = self.alarms.counted("OldestOutboxRow", "Maximum", service=self.service)
            what = "Events wait for minutes to be published"
            self.alarms.ring("OutboxAge", age, "outbox-age", what, OUTBOX_SECONDS)

    def new_role(self, name: str) -> iam.Role:
        """Of a function, which may write its log and nothing else yet."""
        return iam.Role(
            self,
            name,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AWSLambdaBasicExecutionRole"
                )
            ],
        )

    def _role(self) -> iam.Role:
        role = self.new_role("Role")
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
            {"AUTHORIZER_URI": authorizer_uri(self, self.stage), "AWS_DEFAULT_REGION": "us-east-1"},
        ):
            chalice = Chalice(self, "Chalice", source_dir=str(source), stage_config=config)
        package = Path(chalice._sam_package_dir)  # both are in the template and the assets by now
        shutil.rmtree(package)
        package.with_name(f"{package.name}.sam_with_assets.json").unlink()
        self.grant_secret("cursor-key")
        for resource in chalice.node.find_all():
            if isinstance(resource, sam.CfnFunction):
                resource.add_property_override(
                    "LoggingConfig.LogGroup", self.log_group.log_group_name
                )
        return chalice

    def _rest_api(self) -> RestApi:
        api = RestApi(self, self.stage, self.service, self.chalice)
        self.publish_parameter(api.id, "rest-api")
        self.publish_parameter(json.dumps(api.paths), "routes")
        self.may_authorize = api.ask_the_authorizer()
        api.render_errors()
        api.count_requests(self.role, self.cache)
        api.limit_and_log(self.log_group)
        return api

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
        mapping = lambda_.CfnEventSourceMapping(
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
        mapping.node.add_dependency(self.role)  # Lambda tries the role's permissions at once
        self.every_minute("SweepOutbox", "relay_outbox")

    def every_minute(self, name: str, function: str) -> None:
        """Calls one of the service's functions."""
        called = lambda_.Function.from_function_attributes(
            self,
            f"{name}Function",
            function_arn=self.function_arn(function),
            same_environment=True,
        )
        events.Rule(
            self,
            name,
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[
                targets.LambdaFunction(
                    called,
                    event=events.RuleTargetInput.from_object({"sweep": True}),
                    dead_letter_queue=self.dead_letters,
                )
            ],
        )

    def queue_into(
        self,
        function: str,
        name: str,
        at_once: int,
        batch_size: int = 10,
        visibility: cdk.Duration = VISIBILITY,
    ) -> sqs.Queue:
        """A queue that feeds one of the service's functions, `at_once` batches at a time. What
        fails too often goes to the dead letters."""
        queue = sqs.Queue(
            self,
            name,
            queue_name=self.stage.named(f"{self.service}-{name.lower()}"),
            visibility_timeout=visibility,
            enforce_ssl=not self.stage.local,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=MAX_RECEIVES
            ),
        )
        self.feed(function, f"{name}Source", queue, at_once, batch_size)
        return queue

    def feed(
        self, function: str, name: str, queue: sqs.IQueue, at_once: int, batch_size: int = 10
    ) -> None:
        """One of the service's functions from a queue; it answers with what failed."""
        queue.grant_consume_messages(self.role)
        mapping = lambda_.CfnEventSourceMapping(
            self,
            name,
            function_name=self.function(function).ref,
            event_source_arn=queue.queue_arn,
            batch_size=batch_size,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config={"maximumConcurrency": at_once},
        )
        mapping.node.add_dependency(self.role)  # Lambda tries the role's permissions at once

    def _consume(self) -> None:
        """Events of one busy agent meet at one row: more at once would only wait for each other."""
        queue = self.queue_into("consume", "Inbox", at_once=10)
        for event in consumed_by(self.service):
            rule = events.Rule(self, f"On{event.__name__}", event_bus=self.bus)
            rule.add_event_pattern(**_event_pattern(event.pattern()))
            rule.add_target(targets.SqsQueue(queue, dead_letter_queue=self.dead_letters))


def _event_pattern(pattern: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in pattern.items()}


def _of_functions(metric: str, functions: Sequence[sam.CfnFunction]) -> cloudwatch.MathExpression:
    """The sum over them: how many there are is the service's business."""
    each = {
        f"m{place}": cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name=metric,
            statistic="Sum",
            period=FIVE_MINUTES,
            dimensions_map={"FunctionName": function.ref},
        )
        for place, function in enumerate(functions)
    }
    total = f"SUM([{', '.join(each)}])"
    return cloudwatch.MathExpression(
        expression=total, using_metrics=each, period=FIVE_MINUTES, label=metric
    )


def _key(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
