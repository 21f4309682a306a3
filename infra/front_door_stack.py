"""One base URL for all services: CloudFront, with the services' own routes as its behaviours.

Only real stages have it; locally `infra/local/front_door.py` does the same.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_ssm as ssm

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


class FrontDoorStack(cdk.Stack):
    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("front-door"), synthesizer=stage.synthesizer)
        self.stage = stage
        self.rename_key = cloudfront.Function(
            self, "ApiKeyHeader", code=cloudfront.FunctionCode.from_inline(_API_KEY_HEADER)
        )
        services = {service: self._origin(service) for service in SERVICES}
        found = patterns({service: routes_of(service) for service in SERVICES})
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            default_behavior=self._behavior(services["auth"]),
            additional_behaviors={
                pattern: self._behavior(services[service]) for pattern, service in found
            },
        )
        cdk.CfnOutput(self, "BaseUrl", value=f"https://{distribution.distribution_domain_name}")

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
