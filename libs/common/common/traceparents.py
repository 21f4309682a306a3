"""Where in a trace something is, as W3C Trace Context writes it: `00-<trace>-<span>-<flags>`."""

import os
import random
import re
from typing import NamedTuple

_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01


class Place(NamedTuple):
    """A span of a trace. One that is not sampled is passed on and told to nobody."""

    trace_id: str
    span_id: str
    is_sampled: bool

    @classmethod
    def parse(cls, text: str | None) -> "Place | None":
        """None for what is no traceparent: whose it is, is a question that can stay open."""
        match = _FORM.fullmatch(text.strip(" \t")) if text else None
        if match is None:
            return None
        version, trace_id, span_id, flags, more = match.groups()
        is_usable = int(trace_id, 16) and int(span_id, 16) and not (version == "00" and more)
        return cls(trace_id, span_id, bool(int(flags, 16) & _SAMPLED)) if is_usable else None

    @classmethod
    def of_new_trace(cls) -> "Place":
        share = float(os.environ.get("TRACES_SAMPLED", "1"))
        return cls(_hex(16), _hex(8), random.random() < share)

    def below(self) -> "Place":
        """Of a new span within this one."""
        return self._replace(span_id=_hex(8))

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02d}"


def _hex(size: int) -> str:
    """Never all zeros: that stands for none."""
    return f"{random.randrange(1, 1 << 8 * size):0{2 * size}x}"
