"""JSON logs, one object per line, with the invocation's correlation id."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

from common import tracing
from common.clock import timestamp
from common.context import correlation_id

# What has the form of a credential: clients put theirs into paths and headers where they do not
# belong.
_CREDENTIALS = re.compile(r"rt[ar]_[\w-]{20,}|eyJ[\w-]+\.[\w-]+\.[\w-]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "correlationId": correlation_id.get(),
            **tracing.ids(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _CREDENTIALS.sub("[redacted]", json.dumps(line, default=str))


def configure(level: int = logging.INFO) -> None:
    """Replaces whatever handlers the runtime installed: a second one would double every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("botocore").setLevel(logging.WARNING)
