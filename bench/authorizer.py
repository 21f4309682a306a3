"""What the authorizer does itself when it is warm: API Gateway and Lambda come on top.

It runs in a process of its own, as in Lambda; the key set and the table are the platform's.
"""

import json
import subprocess
import sys

from bench.deployed import environment
from tests.platform import Platform

CALLS = 500
_PROBE = """
import json, logging, statistics, sys, time
from chalicelib.auth.authorizer.handler import authorize
logging.disable()
event = {"methodArn": "arn:aws:execute-api:us-east-1:0:api/api/GET/agents",
         "headers": {"Authorization": sys.argv[1]}}
authorize(event, None)
times = []
for _ in range(int(sys.argv[2])):
    started = time.perf_counter()
    assert authorize(event, None)["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    times.append((time.perf_counter() - started) * 1000)
print(json.dumps([statistics.median(times), "boto3" in sys.modules]))
"""


def measure(platform: Platform) -> dict[str, float]:
    with platform.api() as api:
        token = api.post("/auth/token").raise_for_status().json()["accessToken"]
    key = platform.facts["users"][0]["apiKey"]
    ours, loads_sdk = _median(platform, f"Bearer {token}")
    assert not loads_sdk, "a token made the authorizer load the AWS SDK"
    return {
        "tokenP50Ms": round(ours, 2),
        "apiKeyWithTwoReadsP50Ms": round(_median(platform, f"ApiKey {key}")[0], 2),
    }


def _median(platform: Platform, credential: str) -> tuple[float, bool]:
    command = [sys.executable, "-c", _PROBE, credential, str(CALLS)]
    done = subprocess.run(
        command,
        env=environment(platform, "auth", "authorize"),
        capture_output=True,
        text=True,
        check=True,
    )
    median, loads_sdk = json.loads(done.stdout)
    return median, loads_sdk
