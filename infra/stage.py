"""The stage being deployed, its names, and the one place that says what `local` does without."""

import os
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_logs as logs

from infra.trusted_issuers import trusted_issuers

SERVICES = ("auth", "agents", "tasks", "events", "status", "graphql")
"""In the order of their first deployment: auth owns the authorizer that the others name."""


WEBSOCKET_STAGE = "live"


@dataclass(frozen=True)
class Stage:
    """Resources that other stacks need are found by these names or by SSM parameter; nothing is
    exported from stack to stack, so that each deploys alone."""

    name: str

    @classmethod
    def of(cls, app: cdk.App) -> "Stage":
        return cls(app.node.try_get_context("stage") or "local")

    @property
    def local(self) -> bool:
        return self.name == "local"

    @property
    def production(self) -> bool:
        """The one stage that must survive the loss of an availability zone."""
        return self.name == "production"

    @property
    def log_retention(self) -> logs.RetentionDays:
        return logs.RetentionDays.THREE_MONTHS if self.production else logs.RetentionDays.TWO_WEEKS

    def named(self, what: str) -> str:
        return f"agentic-{self.name}-{what}"

    def parameter(self, *path: str) -> str:
        return "/".join(("", "agentic", self.name, *path))

    @property
    def alarms(self) -> str:
        """The topic that all alarms ring in."""
        return self.named("alarms")

    def log_group(self, part: str) -> str:
        """One for all functions of a part: what happened there is read in one place."""
        return self.parameter(part)

    @property
    def metrics(self) -> str:
        """The namespace of what the functions count."""
        return self.named("metrics")

    def dead_letters(self, service: str) -> str:
        """The name of a service's dead-letter queue."""
        return self.named(f"{service}-dead-letters")

    @property
    def bus(self) -> str:
        return self.named("bus")

    @property
    def authorizer(self) -> str:
        return self.named("authorize")

    @property
    def issuer(self) -> str:
        """Of the platform's own access tokens, and their audience."""
        return f"agentic-{self.name}"

    @property
    def trusted_issuers(self) -> str:
        return trusted_issuers(self.name)

    @property
    def task_execution(self) -> str:
        return self.named("TaskExecution")

    @property
    def multi_agent(self) -> str:
        return self.named("MultiAgent")

    @property
    def preloaded(self) -> tuple[str, ...]:
        """Providers whose SDK is imported at start-up instead of in the first task."""
        return ("openai",)

    @property
    def traces_sampled(self) -> str:
        """Which share of the traces that begin here is told; clients that begin one decide."""
        return os.environ.get("TRACES_SAMPLED", "0.1" if self.production else "1")

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Of the web pages that may call the APIs: `ALLOWED_ORIGINS=https://app.example.com,…`;
        locally those that are served by this machine, too."""
        named = filter(None, os.environ.get("ALLOWED_ORIGINS", "").split(","))
        return (*named, *(("http://localhost:*", "http://127.0.0.1:*") if self.local else ()))

    # --- what the emulator lacks or what a laptop does not need -------------------------------

    @property
    def bundles_dependencies(self) -> bool:
        """Locally every function sees the virtual environment; bundling would only cost time."""
        return not self.local

    @property
    def limits_event_sources(self) -> bool:
        """The emulator knows no `events:source` condition key: a matching one is denied there."""
        return not self.local

    @property
    def guards_bus(self) -> bool:
        """The emulator deploys no archive and no policy of a bus."""
        return not self.local

    @property
    def observes(self) -> bool:
        """The emulator has no X-Ray, no access logs, no limits of an API, no logs of a machine."""
        return not self.local

    @property
    def protects_data(self) -> bool:
        """A laptop's tables go with its platform."""
        return not self.local

    @property
    def knows_whose_token_it_is(self) -> bool:
        """The emulator does not see which machine a task token is of."""
        return not self.local

    @property
    def isolates_cache(self) -> bool:
        """The emulator has no security group ingress; its cache is a Redis on the loopback."""
        return not self.local

    def websocket_endpoint(self, api_id: str, region: str) -> str:
        """Where connections are posted to; the emulator has it below its one AWS endpoint."""
        if self.local:
            return f"/_aws/execute-api/{api_id}/{WEBSOCKET_STAGE}"
        return f"https://{api_id}.execute-api.{region}.{cdk.Aws.URL_SUFFIX}/{WEBSOCKET_STAGE}"

    def websocket_url(self, service: str, api_id: str, region: str) -> str:
        """Where browsers connect to; a path is below the page's own address."""
        if self.local:
            return f"/ws/{service}"
        return self.websocket_endpoint(api_id, region).replace("https:", "wss:", 1)

    def rest_endpoint(self, api_id: str, region: str) -> str:
        """A REST API's own address; the emulator has it below its one AWS endpoint."""
        if self.local:
            return f"/_aws/execute-api/{api_id}/api"
        return f"https://{api_id}.execute-api.{region}.{cdk.Aws.URL_SUFFIX}/api"

    @property
    def has_cloudfront(self) -> bool:
        """The emulator's CloudFront refuses API Gateway origins; a local front door stands in."""
        return not self.local

    @property
    def address_requests_per_minute(self) -> int:
        """Locally everybody, tests and benchmarks included, calls from one address."""
        return 1_000_000 if self.local else 6_000

    @property
    def provider_urls(self) -> dict[str, str]:
        """Where the model providers are; empty means the providers' own addresses."""
        names = {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"}
        return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}

    @property
    def removal(self) -> cdk.RemovalPolicy:
        return cdk.RemovalPolicy.DESTROY if self.local else cdk.RemovalPolicy.RETAIN

    @property
    def synthesizer(self) -> cdk.IStackSynthesizer:
        """The default one publishes through roles that the emulator's bucket policy denies."""
        if self.local:
            return cdk.CliCredentialsStackSynthesizer(
                file_assets_bucket_name="agentic-local-assets"
            )
        return cdk.DefaultStackSynthesizer()
