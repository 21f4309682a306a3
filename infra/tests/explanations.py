"""Why the templates do what a rule objects to. Each line must still be needed: a test says so."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """Of the findings of a rule, at constructs whose path matches."""

    rule: str
    at: str
    reason: str

    def covers(self, rule: str, path: str) -> bool:
        return rule.startswith(self.rule) and re.search(self.at, path) is not None


NAG = (
    Explanation(
        "AwsSolutions-SMG4",
        r"-platform/(Openai|Anthropic)Key/",
        "The provider's own key: whoever holds the account there makes the next one.",
    ),
    Explanation(
        "AwsSolutions-SMG4",
        r"/(CursorKey|RefreshKey)/",
        "What was sealed with it must stay readable: changing it ends all sessions and pages.",
    ),
    Explanation(
        "AwsSolutions-SMG4",
        r"-platform/(FrontDoor|CacheKey)/",
        "CloudFront and ElastiCache take it over while they are deployed: docs/deploy.md.",
    ),
    Explanation(
        "AwsSolutions-AEC5",
        r"-platform/Cache$",
        "A port is no secret; the security group admits the services' functions alone.",
    ),
    Explanation(
        "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambda",
        r"Role/Resource$",
        "What Lambda itself needs of a role: to write a log, to sit in a network.",
    ),
    Explanation(
        "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGate",
        r"-platform/GatewayLogs/",
        "What API Gateway itself needs to write access logs.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::<TableCD117FA1.Arn>/index/*]",
        r"Role/DefaultPolicy/",
        "All indexes of the service's own table.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:",
        r"Role/DefaultPolicy/",
        "One secret by its whole name; its ARN ends with six characters that AWS chooses.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:kms:<AWS::Region>:<AWS::AccountId>:key/*]",
        r"Role/DefaultPolicy/",
        "Under a condition: through Secrets Manager for one secret, or keys with our own tag.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::*]",
        r"-auth/OperatorRole/",
        "kms:CreateKey knows no resource; the condition asks for our own tag.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:"
        "execution:",
        r"-workflows/MultiAgentRole/",
        "The executions of the one machine that it starts; each has a name of its own.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::*]",
        r"-workflows/\w+Role/",
        "X-Ray and the delivery of logs know no resources.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:lambda:<AWS::Region>:<AWS::AccountId>:"
        "function:agentic-tool-*]",
        r"-tasks/Role/",
        "Tools are anybody's functions of this name: the name is the contract.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:execute-api:",
        r"/Role/DefaultPolicy/",
        "Posting to the connections of the service's own socket.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:sqs:<AWS::Region>:<AWS::AccountId>:"
        "agentic-production-*]",
        r"-events/Role/",
        "Dead letters are sent again to the queue they came from, which is any of this stage's.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:scheduler:<AWS::Region>:<AWS::AccountId>:"
        "schedule/default/agentic-production-*]",
        r"-events/Role/",
        "Users' schedules come and go; all of this stage's have names that begin so.",
    ),
    Explanation(
        "AwsSolutions-APIG4",
        r"WebSocketApi/\$(disconnect|default)-Route",
        "A socket is authorized when it connects; API Gateway allows it on no other route.",
    ),
    Explanation(
        "AwsSolutions-APIG4",
        r"-graphql/WebSocketApi/\$connect-Route",
        "Browsers name no credential there; `connection_init` does, and the authorizer is asked.",
    ),
    Explanation(
        "AwsSolutions-L1",
        r"-tools/",
        "Python 3.11 is what all functions of the platform are tested with.",
    ),
    Explanation(
        "AwsSolutions-S1",
        r"-front-door/AccessLogs/",
        "It holds access logs; logs about reading logs would never end.",
    ),
    Explanation(
        "AwsSolutions-S1",
        r"-pipeline-\w+/Artifacts/",
        "Copies of a repository, for thirty days; only the pipeline's roles reach it.",
    ),
    Explanation(
        "AwsSolutions-CB4",
        r"-pipeline-\w+/",
        "The builds make no artifacts; what they read is the encrypted copy of the source.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Action::s3:",
        r"-pipeline-\w+/",
        "What the CDK grants on the pipeline's own bucket.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::<Artifacts82DD59A1.Arn>/*]",
        r"-pipeline-\w+/",
        "The objects of the pipeline's own bucket.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:",
        r"-pipeline-\w+/",
        "The streams of the project's own log group.",
    ),
    Explanation(
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:",
        r"-pipeline-\w+/Smoke",
        "One secret by its whole name; its ARN ends with six characters that AWS chooses.",
    ),
    Explanation(
        "AwsSolutions-CFR1",
        r"-front-door/",
        "Where its users are is for whoever deploys it to say.",
    ),
    Explanation(
        "AwsSolutions-CFR4",
        r"-front-door/",
        "CloudFront's own domain sets no minimum; with `-c domain=…` it is TLS 1.2.",
    ),
)

CFN_LINT = {
    "W3005": "The CDK says DependsOn for roles and policies, also where a reference implies it."
}

EVERYTHING = {
    ("auth", "kms:CreateKey"): "It knows no resource; the condition asks for our own tag.",
    ("tasks", "states:SendTaskSuccess"): "Locally alone, where a token does not tell its machine.",
    ("workflows", "logs:CreateLogDelivery"): "Deliveries of logs know no resource.",
    ("workflows", "xray:PutTraceSegments"): "X-Ray knows no resource.",
}
"""Why a statement of a part (named by one of its actions) is for all resources."""
