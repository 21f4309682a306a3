"""What REST says of schedules GraphQL says too."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.graphql.tests.test_agreement import announced
from tests import agents
from tests.service import running

FIELDS = ("id", "agentId", "description", "at", "rate", "cron", "timezone", "startsAt", "endsAt")
MORE = ("enabled", "onOverlap", "createdAt", "updatedAt")
QUERY = f"{{ schedules {{ edges {{ node {{ {' '.join(FIELDS + MORE)} }} }} }} }}"

wanted = st.fixed_dictionaries(
    {"agentId": st.sampled_from(["a1", "a2"]), "description": st.text("abc é", min_size=1)},
    optional={
        "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
        "startsAt": st.none() | st.just("2090-01-01T00:00:00Z"),
        "endsAt": st.none() | st.just("2099-01-01T00:00:00.5Z"),
        "enabled": st.booleans(),
        "onOverlap": st.sampled_from(["skip", "queue", "parallel"]),
    },
).filter(lambda each: each["description"].strip())
times = st.sampled_from(
    [{"rate": "2 hours"}, {"cron": "0 9 * * ? *"}, {"at": "2095-01-01T09:00:00"}]
)
schedules = st.tuples(wanted, times).map(lambda parts: parts[0] | parts[1])


@settings(max_examples=10)
@given(
    histories=st.lists(
        st.tuples(schedules, st.lists(schedules, max_size=1), st.booleans()), min_size=1, max_size=3
    ),
    random=st.randoms(use_true_random=False),
)
def test_rest_and_graphql_agree(histories: list[Any], random: Any) -> None:
    with running("events") as rest:
        assert rest.consume(agents.created("a1"), agents.created("a2")) == []
        for first, changes, is_deleted in histories:
            path = f"/schedules/{rest.request('POST', '/schedules', first).body['id']}"
            for change in changes:
                assert rest.request("PUT", path, change).status == 200
            if is_deleted:
                assert rest.request("DELETE", path).status == 204
        shown = rest.request("GET", "/schedules").body["items"]
        happened = announced(rest)
    delivered = happened + happened[:2]
    random.shuffle(delivered)
    with running("graphql") as graphql:
        assert graphql.consume(*delivered) == []
        answer = graphql.request("POST", "/graphql", {"query": QUERY}).body["data"]
    told = [edge["node"] for edge in answer["schedules"]["edges"]]
    expected = [{name: each[name] for name in FIELDS + MORE} for each in shown]
    assert told == [each | {"onOverlap": each["onOverlap"].upper()} for each in expected]
