"""What roles are allowed."""

from collections.abc import Sequence
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
    allow(role, "secretsmanager:GetSecretValue", on=[secret])
    allow(role, "kms:Decrypt", on=[keys], when=conditions)


def allow(
    role: iam.Role, *actions: str, on: Sequence[str], when: dict[str, Any] | None = None
) -> None:
    role.add_to_policy(
        iam.PolicyStatement(actions=list(actions), resources=list(on), conditions=when)
    )
