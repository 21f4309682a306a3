"""How old an answer about a credential may be: together, how late a revocation counts at most."""

AUTHORIZER_ANSWER_SECONDS = 30
"""For so long API Gateway keeps what the authorizer said."""
KEY_SET_SECONDS = 30
"""Older than that, public keys and revocations count for nothing."""
