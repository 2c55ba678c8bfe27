"""The client's small JSON reads and writes exactly what `json` does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgq import fastjson

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_it_writes_what_json_writes(value: Any) -> None:
    assert fastjson.dumps(value) == json.dumps(value)


@given(VALUES)
def test_it_reads_what_json_writes(value: Any) -> None:
    for ascii in (True, False):
        # Lone surrogates are no UTF-8.
        data = json.dumps(value, ensure_ascii=ascii, indent=1).encode("utf-8", "replace")
        assert fastjson.loads(b" \r\n\t" + data + b"\n") == json.loads(data)


@given(
    st.binary(max_size=30) | st.text(alphabet='{}[]",:0 truefalsn\\u', max_size=12).map(str.encode)
)
def test_it_refuses_what_json_refuses(data: bytes) -> None:
    try:
        expected = json.loads(data.decode("utf-8"))
    except ValueError:
        with pytest.raises(ValueError):
            fastjson.loads(data)
    else:
        assert repr(fastjson.loads(data)) == repr(expected)


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(ValueError):
        fastjson.loads(b"[" * 1_000_000)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_it_writes_no_number_that_json_has_not(value: float) -> None:
    with pytest.raises(ValueError):
        fastjson.dumps([value])


def test_it_writes_no_type_that_json_has_not() -> None:
    with pytest.raises(TypeError, match="bytes"):
        fastjson.dumps({"a": b"x"})


def test_it_works_without_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastjson, "make_scanner", None)
    assert fastjson.loads(fastjson.dumps({"a": [1, "é"]}).encode()) == {"a": [1, "é"]}
