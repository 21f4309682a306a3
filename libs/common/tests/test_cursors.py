import base64

import pytest
from common.cursors import Cursors
from common.errors import Invalid
from hypothesis import given
from hypothesis import strategies as st

cursors = Cursors(b"a key")
positions = st.dictionaries(st.text(), st.text(), min_size=1, max_size=4)
scopes = st.text()


def sealed(position: dict[str, str], scope: str) -> str:
    token = cursors.seal(position, scope)
    assert token
    return token


@given(position=positions, scope=scopes)
def test_a_cursor_opens_to_the_position_it_was_made_of(
    position: dict[str, str], scope: str
) -> None:
    assert cursors.open(sealed(position, scope), scope) == position


@given(position=positions, scope=scopes, where=st.integers(min_value=0))
def test_a_cursor_with_one_bit_flipped_is_refused(
    position: dict[str, str], scope: str, where: int
) -> None:
    content = bytearray(base64.urlsafe_b64decode(sealed(position, scope)))
    content[where // 8 % len(content)] ^= 1 << where % 8
    with pytest.raises(Invalid):
        cursors.open(base64.urlsafe_b64encode(content).decode(), scope)


@given(position=positions, scopes=st.lists(scopes, min_size=2, max_size=2, unique=True))
def test_a_cursor_of_another_scope_is_refused(position: dict[str, str], scopes: list[str]) -> None:
    with pytest.raises(Invalid):
        cursors.open(sealed(position, scopes[0]), scopes[1])


@given(token=st.text(min_size=1) | st.binary(min_size=1).map(lambda b: b.hex()))
def test_text_that_is_no_cursor_is_refused(token: str) -> None:
    with pytest.raises(Invalid) as refused:
        cursors.open(token, "scope")
    assert refused.value.details == {"field": "nextToken"}


def test_a_cursor_of_another_deployment_is_refused() -> None:
    with pytest.raises(Invalid):
        Cursors(b"another key").open(sealed({"PK": "a"}, "scope"), "scope")


def test_the_last_page_has_no_cursor() -> None:
    assert cursors.seal(None, "scope") is None
    assert cursors.open(None, "scope") is None
    assert cursors.open("", "scope") is None
