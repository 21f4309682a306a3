"""The OpenAPI document of all services. It is made with the code (`make docs`), so that no function
pays for making it."""

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def read() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_text())
    return document
