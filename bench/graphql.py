"""What an agent with its ten tasks takes to be asked for in GraphQL: the resolving itself, in a
process of its own as in Lambda over the platform's table, and the whole way over HTTP."""

import json
import subprocess
import sys
from typing import Any

from bench.api import p50
from bench.deployed import environment
from tests.platform import Platform, eventually

CALLS = 200
TASKS = 10
QUERY = """query($id: ID!) { agent(id: $id) { id name status configuration { model tools { name } }
  tasks(limit: 10) { edges { node { id description status currentStep totalSteps result
    agent { id name } } } pageInfo { hasNextPage } } } }"""
_PROBE = """
import json, logging, statistics, sys, time
from chalicelib.graphql import execution
from chalicelib.graphql.models.requests import GraphQLRequest
from common.principals import Permission, Principal
from common.service import table
import app
logging.disable()
user, asked, calls = sys.argv[1:4]
request = GraphQLRequest(**json.loads(asked))
context = app.context_of("bench")
caller = Principal(user, "bench", (Permission("*", ("*",)),))
read = []
note = lambda model, **_: read.append(model.name)
def execute():
    started = time.perf_counter()
    answer = execution.execute(request, context(caller))
    assert len(answer["data"]["agent"]["tasks"]["edges"]) == 10, answer
    return (time.perf_counter() - started) * 1000
execute()
table()._client.meta.events.register("before-call.dynamodb", note)
times = [execute() for _ in range(int(calls))]
print(json.dumps({"resolverP50Ms": round(statistics.median(times), 1),
                  "tableReads": len(read) / len(times)}))
"""


def measure(platform: Platform) -> dict[str, float]:
    with platform.api() as api:
        agent = api.agent()["id"]
        for task in [api.task(agent, f"Say {number}") for number in range(TASKS)]:
            api.finished(task)
        asked = {"query": QUERY, "variables": {"id": agent}}

        def answered() -> Any:
            return api.post("/graphql", json=asked).raise_for_status().json()["data"]["agent"]

        def is_known() -> bool:
            tasks = answered()["tasks"]["edges"]
            return len(tasks) == TASKS and all(t["node"]["status"] == "COMPLETED" for t in tasks)

        assert eventually(is_known)
        return {**_resolved(platform, asked), "httpP50Ms": p50(answered)}


def _resolved(platform: Platform, asked: dict[str, Any]) -> dict[str, float]:
    user = platform.facts["users"][0]["userId"]
    command = [sys.executable, "-c", _PROBE, user, json.dumps(asked), str(CALLS)]
    done = subprocess.run(
        command,
        env=environment(platform, "graphql", "graphql"),
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
