"""Long texts in rows of their own: DynamoDB's limit is 400 KB for each."""

from collections.abc import Iterable

from common.rows import Row

ROW_CHARS = 80_000
"""At most four bytes each."""


def in_parts(row: Row, field: str) -> list[Row]:
    """The row, and its long field going on in rows that sort directly behind it."""
    text = row[field] or ""
    parts = [text[i : i + ROW_CHARS] for i in range(0, len(text), ROW_CHARS)]
    more = [
        {"PK": row["PK"], "SK": f"{row['SK']}#{number:02d}", "part": number, field: part}
        for number, part in enumerate(parts[1:], start=1)
    ]
    return [row | {field: parts[0] if parts else row[field]}, *more]


def joined(rows: Iterable[Row], field: str) -> list[Row]:
    """The reverse, for rows in the order of their keys."""
    whole: list[Row] = []
    for row in rows:
        if "part" in row:
            whole[-1][field] += row[field]
        else:
            whole.append(dict(row))
    return whole
