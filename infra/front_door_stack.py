"""One base URL for all services: CloudFront, with the services' own routes as its behaviours.

Only real stages have it; locally `infra/local/front_door.py` does the same.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_wafv2 as wafv2

from infra.cors import (
    MAX_AGE_SECONDS,
    METHODS,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    preflight_headers,
)
from infra.routes import patterns, routes_of
from infra.stage import SERVICES, Stage

_ON_REQUEST = """
var origins = %s;
function handler(event) {
  var headers = event.request.headers;
  if (event.request.method === 'OPTIONS' && headers['access-control-request-method']) {
    return preflight(headers.origin ? headers.origin.value : '');
  }
  if (headers['x-api-key'] && !headers.authorization) {
    headers.authorization = { value: 'ApiKey ' + headers['x-api-key'].value };
    delete headers['x-api-key'];
  }
  return event.request;
}
function preflight(origin) {
  var allowed = origins.some(function (pattern) { return new RegExp(pattern).test(origin); });
  if (!allowed) return { statusCode: 204, statusDescription: 'No Content' };
  var told = %s;
  told['access-control-allow-origin'] = { value: origin };
  return { statusCode: 204, statusDescription: 'No Content', headers: told };
}
"""

MANAGED_RULES = (
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesKnownBadInputsRuleSet",
)
"""Not the common set: it refuses bodies above 8 KB and texts about code, which prompts are."""
REQUESTS_PER_ADDRESS = 30_000
"""In five minutes: what the services' own limit of an address allows."""


_SECURITY_HEADERS = cloudfront.ResponseSecurityHeadersBehavior(
    content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
    frame_options=cloudfront.ResponseHeadersFrameOptions(
        frame_option=cloudfront.HeadersFrameOption.SAMEORIGIN, override=False
    ),
    referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
        referrer_policy=cloudfront.HeadersReferrerPolicy.STRICT_ORIGIN_WHEN_CROSS_ORIGIN,
        override=False,
    ),
    strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
        access_control_max_age=cdk.Duration.days(365), override=False
    ),
)
"""Those of the managed policy SECURITY_HEADERS, which can't be had with origins of our own."""


def on_request(allowed_origins: Iterable[str]) -> str:
    """The function that answers preflights, and makes an API key in its own header an
    Authorization."""
    patterns = ["^" + re.escape(each).replace(r"\*", ".*") + "$" for each in allowed_origins]
    headers = {name.lower(): {"value": v} for name, v in preflight_headers("").items()}
    return _ON_REQUEST % (json.dumps(patterns), json.dumps(headers))


class FrontDoorStack(cdk.Stack):
    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("front-door"), synthesizer=stage.synthesizer)
        self.stage = stage
        self.on_request = cloudfront.Function(
            self,
            "OnRequest",
            function_name=stage.named("on-request"),
            comment="Answers preflights; X-Api-Key becomes Authorization",
            code=cloudfront.FunctionCode.from_inline(on_request(stage.allowed_origins)),
        )
        self.response_headers = self._response_headers()
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

    def _response_headers(self) -> cloudfront.IResponseHeadersPolicy:
        """Security headers, and which pages may read the answer."""
        origins = list(self.stage.allowed_origins)
        if not origins:
            return cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS
        return cloudfront.ResponseHeadersPolicy(
            self,
            "ResponseHeaders",
            security_headers_behavior=_SECURITY_HEADERS,
            cors_behavior=cloudfront.ResponseHeadersCorsBehavior(
                access_control_allow_origins=origins,
                access_control_allow_methods=list(METHODS),
                access_control_allow_headers=list(REQUEST_HEADERS),
                access_control_expose_headers=list(RESPONSE_HEADERS),
                access_control_allow_credentials=False,
                access_control_max_age=cdk.Duration.seconds(MAX_AGE_SECONDS),
                origin_override=True,
            ),
        )

    def _behavior(self, origin: cloudfront.IOrigin) -> cloudfront.BehaviorOptions:
        return cloudfront.BehaviorOptions(
            origin=origin,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            response_headers_policy=self.response_headers,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            function_associations=[
                cloudfront.FunctionAssociation(
                    function=self.on_request,
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
