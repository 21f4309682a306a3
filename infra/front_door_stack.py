"""One base URL for all services: CloudFront, with the services' own routes as its behaviours.

Only real stages have it; locally `infra/local/front_door.py` does the same.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_wafv2 as wafv2

from infra.routes import patterns, routes_of
from infra.stage import SERVICES, Stage

_API_KEY_HEADER = """
function handler(event) {
  var headers = event.request.headers;
  if (headers['x-api-key'] && !headers.authorization) {
    headers.authorization = { value: 'ApiKey ' + headers['x-api-key'].value };
    delete headers['x-api-key'];
  }
  return event.request;
}
"""

MANAGED_RULES = (
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesKnownBadInputsRuleSet",
)
"""Not the common set: it refuses bodies above 8 KB and texts about code, which prompts are."""
REQUESTS_PER_ADDRESS = 30_000
"""In five minutes: what the services' own limit of an address allows."""


class FrontDoorStack(cdk.Stack):
    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("front-door"), synthesizer=stage.synthesizer)
        self.stage = stage
        self.rename_key = cloudfront.Function(
            self,
            "ApiKeyHeader",
            function_name=stage.named("api-key-header"),
            comment="X-Api-Key becomes Authorization",
            code=cloudfront.FunctionCode.from_inline(_API_KEY_HEADER),
        )
        services = {service: self._origin(service) for service in SERVICES}
        found = patterns({service: routes_of(service) for service in SERVICES})
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=stage.named("front-door"),
            web_acl_id=self.node.try_get_context("webAclArn") or self._firewall(),
            log_bucket=self._logs(),
            **self._own_domain(),
            default_behavior=self._behavior(services["auth"]),
            additional_behaviors={
                pattern: self._behavior(services[service]) for pattern, service in found
            },
        )
        domain = self.node.try_get_context("domain") or distribution.distribution_domain_name
        ssm.StringParameter(
            self,
            "Address",
            parameter_name=stage.parameter("front-door", "base-url"),
            string_value=f"https://{domain}",
        )
        cdk.CfnOutput(self, "BaseUrl", value=f"https://{domain}")
        cdk.CfnOutput(self, "PointDomainAt", value=distribution.distribution_domain_name)

    def _own_domain(self) -> dict[str, Any]:
        """`-c domain=api.example.com -c certificateArn=…`, of a certificate in us-east-1."""
        domain = self.node.try_get_context("domain")
        if not domain:
            return {}
        arn = self.node.get_context("certificateArn")
        return {
            "domain_names": [domain],
            "certificate": acm.Certificate.from_certificate_arn(self, "Certificate", arn),
            "minimum_protocol_version": cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
        }

    def _firewall(self) -> str:
        """CloudFront's firewalls are in us-east-1; elsewhere the context names one: `webAclArn`."""
        return wafv2.CfnWebACL(
            self,
            "Firewall",
            scope="CLOUDFRONT",
            default_action={"allow": {}},
            rules=[
                *(_managed(name, place) for place, name in enumerate(MANAGED_RULES)),
                _per_address(len(MANAGED_RULES)),
            ],
            visibility_config=_seen_as("firewall"),
        ).attr_arn

    def _logs(self) -> s3.Bucket:
        return s3.Bucket(
            self,
            "AccessLogs",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.OBJECT_WRITER,
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(90))],
            removal_policy=self.stage.removal,
        )

    def _origin(self, service: str) -> cloudfront.IOrigin:
        parameter = self.stage.parameter(service, "rest-api")
        api = ssm.StringParameter.value_for_string_parameter(self, parameter)
        domain = f"{api}.execute-api.{self.region}.{self.url_suffix}"
        return origins.HttpOrigin(
            domain,
            origin_path="/api",
            custom_headers={"x-front-door": self._secret.unsafe_unwrap()},
        )

    @property
    def _secret(self) -> cdk.SecretValue:
        """CloudFormation puts it in; the template holds only its name. It replaces what a client
        sends under this name, so that services know who came this way."""
        return cdk.SecretValue.secrets_manager(self.stage.named("front-door"))

    def _behavior(self, origin: cloudfront.IOrigin) -> cloudfront.BehaviorOptions:
        return cloudfront.BehaviorOptions(
            origin=origin,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            function_associations=[
                cloudfront.FunctionAssociation(
                    function=self.rename_key,
                    event_type=cloudfront.FunctionEventType.VIEWER_REQUEST,
                )
            ],
        )


def _managed(name: str, place: int) -> dict[str, Any]:
    return {
        "name": name,
        "priority": place,
        "overrideAction": {"none": {}},
        "statement": {"managedRuleGroupStatement": {"vendorName": "AWS", "name": name}},
        "visibilityConfig": _seen_as(name),
    }


def _per_address(place: int) -> dict[str, Any]:
    limit = {"limit": REQUESTS_PER_ADDRESS, "aggregateKeyType": "IP"}
    return {
        "name": "PerAddress",
        "priority": place,
        "action": {"block": {"customResponse": {"responseCode": 429}}},
        "statement": {"rateBasedStatement": limit},
        "visibilityConfig": _seen_as("PerAddress"),
    }


def _seen_as(name: str) -> dict[str, Any]:
    return {
        "sampledRequestsEnabled": True,
        "cloudWatchMetricsEnabled": True,
        "metricName": name,
    }
