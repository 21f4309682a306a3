"""The signer: AWS KMS, whose keys nobody can export."""

import base64
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

DAYS_UNTIL_GONE = 7


class KmsSigner:
    """`tag` marks the keys of one deployment, the only ones that its roles may use."""

    def __init__(self, client: "KMSClient", tag: str) -> None:
        self._client = client
        self._tag = tag

    def create(self) -> tuple[str, dict[str, str]]:
        made = self._client.create_key(
            KeySpec="ECC_NIST_P256",
            KeyUsage="SIGN_VERIFY",
            Description=f"{self._tag}: signs access tokens",
            Tags=[{"TagKey": "agentic-tokens", "TagValue": self._tag}],
        )
        kid = made["KeyMetadata"]["KeyId"]
        public = load_der_public_key(self._client.get_public_key(KeyId=kid)["PublicKey"])
        assert isinstance(public, EllipticCurvePublicKey)
        point = public.public_numbers()
        return kid, {"kty": "EC", "crv": "P-256", "x": _b64(point.x), "y": _b64(point.y)}

    def sign(self, kid: str, message: bytes) -> bytes:
        answer = self._client.sign(
            KeyId=kid, Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
        )
        r, s = decode_dss_signature(answer["Signature"])
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def destroy(self, kid: str) -> None:
        self._client.schedule_key_deletion(KeyId=kid, PendingWindowInDays=DAYS_UNTIL_GONE)


def _b64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")
