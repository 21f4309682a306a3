"""`python -m infra.replay graphql --from 2030-01-01 --to 2030-01-02`: sends what was announced then
to one consumer once more, out of the journal. It changes nothing where it was handled before, so a
projection is rebuilt by deleting all its rows first. With AWS credentials, or beside a local
platform.
"""

import argparse
import json
from collections.abc import Iterator
from typing import Any

import boto3
from common.events.catalogue import consumed_by

from infra.stage import SERVICES, Stage

Envelope = dict[str, Any]
DEFAULT_STAGE = "local"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.replay")
    parser.add_argument("consumer", choices=[s for s in SERVICES if consumed_by(s)])
    parser.add_argument("--from", dest="since", default="", help="RFC 3339, or its beginning")
    parser.add_argument("--to", dest="until", default="9", help="not included")
    parser.add_argument("--stage", default=DEFAULT_STAGE)
    given = parser.parse_args()
    aws: Any = _Local() if given.stage == DEFAULT_STAGE else boto3.Session()
    sent = replay(aws, Stage(given.stage), given.consumer, given.since, given.until)
    parser.exit(message=f"Sent {sent} events to {given.consumer}\n")


def replay(aws: Any, stage: Stage, consumer: str, since: str, until: str) -> int:
    """How many events were sent. `aws` makes clients."""
    parameter = aws.client("ssm").get_parameter(Name=stage.parameter("events", "journal"))
    table = parameter["Parameter"]["Value"]
    queues = aws.client("sqs")
    inbox = queues.get_queue_url(QueueName=stage.named(f"{consumer}-inbox"))["QueueUrl"]
    told = recorded(aws.client("dynamodb"), table, consumer, since, until)
    sent = 0
    for envelope in told:
        queues.send_message(QueueUrl=inbox, MessageBody=json.dumps(envelope, ensure_ascii=False))
        sent += 1
    return sent


def recorded(
    dynamodb: Any, table: str, consumer: str, since: str, until: str
) -> Iterator[Envelope]:
    """The journal's events that the consumer listens to, in no order: it needs none."""
    names = {(e.detail_type(), e.schema_version()) for e in consumed_by(consumer)}
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="begins_with(PK, :user) AND SK BETWEEN :since AND :until",
        ExpressionAttributeValues={
            ":user": {"S": "USER#"},
            ":since": {"S": f"EVENT#{since}"},
            ":until": {"S": f"EVENT#{until}"},
        },
        ConsistentRead=True,
    )
    for row in (row for page in pages for row in page["Items"]):
        name, detail = row["detailType"]["S"], json.loads(row["detail"]["S"])
        if (name, detail["version"]) in names:
            yield {
                "id": detail["eventId"],
                "source": row["source"]["S"],
                "detail-type": name,
                "detail": detail,
            }


class _Local:
    """The emulator's clients, as a session makes those of AWS."""

    def client(self, service: str) -> Any:
        from infra.local.deployment import client
        from infra.local.settings import Settings

        return client(Settings.from_environment(), service)


if __name__ == "__main__":
    main()
