"""What a role is allowed, where it takes more than one statement to say it."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam


def may_read_secret(stack: cdk.Stack, role: iam.Role, name: str) -> None:
    """The secrets have a key of the platform's, and whoever reads one must be allowed to use it:
    through Secrets Manager, for this secret. Which key it is stays the other stack's."""
    secret = stack.format_arn(
        service="secretsmanager",
        resource="secret",
        resource_name=f"{name}-*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    keys = stack.format_arn(service="kms", resource="key", resource_name="*")
    through = f"secretsmanager.{stack.region}.amazonaws.com"
    conditions = {
        "StringEquals": {"kms:ViaService": through},
        "StringLike": {"kms:EncryptionContext:SecretARN": secret},
    }
    _allow(role, "secretsmanager:GetSecretValue", secret)
    _allow(role, "kms:Decrypt", keys, conditions)


def _allow(
    role: iam.Role, action: str, resource: str, conditions: dict[str, Any] | None = None
) -> None:
    role.add_to_policy(
        iam.PolicyStatement(actions=[action], resources=[resource], conditions=conditions)
    )
