"""How AWS is called where it is called often: a tenth of a task's processor time went into checking
what our own code asks, and into writing the same User-Agent again for each call."""

import os
from typing import Any

from botocore.config import Config


def patience(read_seconds: int, tries: int, **more: Any) -> Config:
    """How long one try waits for its answer, and how many there are."""
    return Config(
        connect_timeout=2,
        read_timeout=read_seconds,
        retries={"total_max_attempts": tries},
        parameter_validation=False,  # what we ask is typed; the service says what is wrong with it
        user_agent=f"agentic-{os.environ.get('SERVICE', 'unknown')}",
        **more,
    )
