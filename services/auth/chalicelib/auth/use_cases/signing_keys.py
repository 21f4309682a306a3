"""The signing keys' life, and the document that says which ones count."""

from chalicelib.auth.models.revocations import Revocation
from chalicelib.auth.models.signing_keys import KeyRing, KeySet, Signer, SigningKey
from chalicelib.auth.repository.signing_keys import KeyRingRepository
from common.clock import epoch_in
from common.errors import Unavailable


def signing_key(ring: KeyRing) -> SigningKey:
    key = ring.current(epoch_in(0))
    if key is None:
        raise Unavailable("There is no signing key yet; an operator has to make one")
    return key


def ensure_key(keys: KeyRingRepository, signer: Signer) -> None:
    if not keys.get().keys:
        rotate(keys, signer)


def rotate(keys: KeyRingRepository, signer: Signer, revoke: bool = False) -> KeyRing:
    """Adds a key that takes over when everybody can know it. With `revoke` it takes over at once,
    and whatever was signed before counts no more: for keys that may be in wrong hands."""
    now, before = epoch_in(0), keys.get()
    kid, jwk = signer.create()
    public = jwk | {"kid": kid, "use": "sig", "alg": "ES256"}
    new = SigningKey(kid=kid, jwk=public, active_from=now if revoke else before.active_from(now))
    after = before.replaced(new) if revoke else before.rotated(new, now)
    try:
        keys.replace(before, after)
    except Exception:
        signer.destroy(kid)  # nobody knows of it
        raise
    for gone in {key.kid for key in before.keys} - {key.kid for key in after.keys}:
        signer.destroy(gone)
    return after


def key_set(ring: KeyRing, revoked: list[Revocation]) -> KeySet:
    return KeySet(
        keys=tuple(key.jwk for key in ring.published(epoch_in(0))),
        revoked={revocation.digest: revocation.below for revocation in revoked},
    )
