"""One page for whoever looks after a stage: what users feel, what agents do, what is stuck."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.alarms import FIVE_MINUTES, counted
from infra.stage import SERVICES, Stage

OUTCOMES = ("TaskCompleted", "TaskFailed", "TaskCancelled")


class DashboardStack(cdk.Stack):
    """Metrics are found by name: it needs no other stack, and may be there before them."""

    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("dashboard"), synthesizer=stage.synthesizer)
        self.stage = stage
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=stage.named("overview"),
            default_interval=cdk.Duration.hours(3),
            widgets=[self._felt(), self._done(), self._stuck()],
        )

    def _felt(self) -> list[cloudwatch.IWidget]:
        names = [self.stage.named(service) for service in SERVICES]
        return [
            _graph("Requests", *(_of_api("Count", name) for name in names)),
            _graph("Answered with 5xx", *(_of_api("5XXError", name) for name in names)),
            _graph("Slowest of a hundred (ms)", *(_of_api("Latency", n, "p99") for n in names)),
            _graph(
                "From an event to the clients' screens (ms)",
                self._counted("PushLatency", "p50"),
                self._counted("PushLatency", "p99"),
            ),
        ]

    def _done(self) -> list[cloudwatch.IWidget]:
        outcomes = (self._counted("Published", event=outcome) for outcome in OUTCOMES)
        tokens = (self._counted("ModelTokens", kind=kind) for kind in ("input", "output"))
        return [
            _graph("Tasks by outcome", *outcomes),
            _graph(
                "Model calls (ms)",
                self._counted("ModelLatency", "p50"),
                self._counted("ModelLatency", "p99"),
            ),
            _graph("Model tokens", *tokens),
            _graph("Tools that failed", self._counted("ToolFailures")),
        ]

    def _stuck(self) -> list[cloudwatch.IWidget]:
        ages = (self._counted("OldestOutboxRow", "Maximum", service=each) for each in SERVICES)
        return [
            _graph("Oldest event that waits to be published (s)", *ages),
            _graph("Dead letters", self._counted("DeadLetters")),
            _graph("Functions: errors and throttles", self._search("Errors", "Throttles")),
            _graph("Executions that failed", self._executions("Failed", "Aborted", "TimedOut")),
        ]

    def _counted(self, name: str, statistic: str = "Sum", **dimensions: str) -> cloudwatch.IMetric:
        return counted(self.stage, name, statistic, **dimensions)

    def _search(self, *names: str) -> cloudwatch.MathExpression:
        wanted = " OR ".join(f'"{name}"' for name in names)
        prefix = self.stage.named("")
        what = f"{{AWS/Lambda,FunctionName}} MetricName=({wanted}) FunctionName={prefix}"
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{what}', 'Sum', 300)", label="", using_metrics={}
        )

    def _executions(self, *ends: str) -> cloudwatch.MathExpression:
        wanted = " OR ".join(f'"Executions{end}"' for end in ends)
        what = f"{{AWS/States,StateMachineArn}} MetricName=({wanted}) {self.stage.named('')}"
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{what}', 'Sum', 300)", label="", using_metrics={}
        )


def _of_api(metric: str, name: str, statistic: str = "Sum") -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway",
        metric_name=metric,
        statistic=statistic,
        period=FIVE_MINUTES,
        dimensions_map={"ApiName": name},
    )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=6, height=6)
