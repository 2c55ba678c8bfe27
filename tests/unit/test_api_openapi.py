"""The OpenAPI document is true: every route is in it, and every live answer fits it."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from imgqd.api import openapi, schema
from imgqd.api.guard import Limits
from imgqd.api.routes import Api
from imgqd.api.schemas import COMPONENTS, REQUESTS
from imgqd.errors import UsageError
from tests.openapi_check import check_answer
from tests.unit.small_daemon import SmallDaemon, running


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with running(str(tmp_path_factory.mktemp("home")), tcp=True) as running_api:
        yield running_api


@pytest.fixture(scope="module")
def document(api):
    return api.ask("GET", "/v1/openapi.json").json


def test_the_document_describes_exactly_the_routes_that_are_served():
    table = Api(SmallDaemon(), None, Limits()).table()
    served = {(method.lower(), path) for method, path, _ in table}
    described = {(method, path) for path, methods in openapi.PATHS.items() for method in methods}
    assert served == described


def test_every_reference_leads_somewhere_and_every_schema_is_one(document):
    assert document["openapi"] == "3.1.0"
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        part = document
        for key in reference.removeprefix("#/").split("/"):
            part = part[key]
    for fragment in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(fragment)
    names = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/v1/openapi.json", None, 200),
        ("POST", "/v1/search", {"terms": [{"text": "x"}]}, 200),
        ("POST", "/v1/search", {"terms": [{"text": 1}]}, 400),
        ("POST", "/v1/facets", {"terms": []}, 200),
        ("POST", "/v1/facets", {"terms": [], "nothing": 1}, 400),
        ("POST", "/v1/search", {"q": "a cat -dog"}, 200),
        ("POST", "/v1/search", {"top": 3}, 400),
        ("POST", "/v1/facets", {"q": "a cat"}, 200),
        ("POST", "/v1/grid", {"q": "a cat", "most": 60, "sort": "newest"}, 200),
        ("POST", "/v1/grid", {}, 200),
        ("POST", "/v1/grid", {"top": 3}, 400),
        ("POST", "/v1/grid", {"sort": "best first"}, 400),
        ("POST", "/v1/pictures", {"ids": [1, 2, 99]}, 200),
        ("POST", "/v1/pictures", {"ids": [1] * 201}, 400),
        ("GET", "/v1/pictures/1/original", None, 200),
        ("GET", "/v1/pictures/1/original?download=1", None, 200),
        ("GET", "/v1/pictures/99/original", None, 404),
        ("POST", "/v1/pictures/1/reveal", {}, 200),
        ("POST", "/v1/pictures/1/reveal", {"path": "/etc/passwd"}, 404),
        ("POST", "/v1/pictures/99/reveal", {}, 404),
        ("GET", "/v1/browse?path=/", None, 200),
        ("GET", "/v1/browse?path=/nowhere", None, 404),
        ("GET", "/v1/browse?path=here", None, 400),
        ("POST", "/v1/web", {"address": "?q=cat"}, 200),
        ("POST", "/v1/web", {"address": "cat"}, 400),
        ("GET", "/v1/session", None, 400),
        ("POST", "/v1/session", {"key": "x"}, 400),
        ("DELETE", "/v1/session", None, 400),
        ("GET", "/v1/status", None, 200),
        ("GET", "/v1/folders", None, 200),
        ("POST", "/v1/folders", {"paths": ["/"], "exclude": ["*.tmp"]}, 200),
        ("GET", "/v1/folders", None, 200),
        ("POST", "/v1/relocate", {"old": "/", "new": "/moved"}, 200),
        ("POST", "/v1/relocate", {"old": "/", "new": "/moved"}, 404),
        ("POST", "/v1/relocate", {"old": "/moved", "new": "/"}, 200),
        ("POST", "/v1/relocate", {"old": "/"}, 400),
        ("DELETE", "/v1/folders", {"paths": ["/"]}, 200),
        ("DELETE", "/v1/folders", {"paths": ["/nowhere"]}, 404),
        ("POST", "/v1/sync", {"timeout_s": 0}, 200),
        ("POST", "/v1/pause", {}, 200),
        ("GET", "/v1/status", None, 200),
        ("POST", "/v1/resume", None, 200),
        ("POST", "/v1/pause", {"hours": 1}, 400),
        ("GET", "/v1/problems", None, 200),
        ("POST", "/v1/retry", {}, 200),
        ("GET", "/v1/pictures/1", None, 200),
        ("GET", "/v1/pictures/99", None, 404),
        ("GET", "/v1/pictures/1/thumbnail", None, 200),
        ("GET", "/v1/pictures/1/thumbnail?side=64&format=jpeg", None, 200),
        ("GET", "/v1/pictures/1/thumbnail?side=1", None, 400),
        ("POST", "/v1/annotate", {"ids": [1, 2], "add_tags": ["a"], "category": "auto"}, 200),
        ("POST", "/v1/annotate", {"ids": [1], "fields": [{"key": "k", "value": ""}]}, 200),
        ("POST", "/v1/annotate", {"ids": []}, 400),
        ("POST", "/v1/annotate", {"ids": [99]}, 404),
        ("GET", "/v1/export", None, 200),
        ("GET", "/v1/export?after=0a0a", None, 200),
        ("GET", "/v1/export?after=x", None, 400),
        ("POST", "/v1/import", {"records": [{"content_hash": "0a" * 20, "tags": ["a"]}]}, 200),
        ("POST", "/v1/import", {"records": [{"content_hash": "0a"}]}, 400),
        ("POST", "/v1/duplicates", {"in": ["/photos"], "threshold": 0.9}, 200),
        ("POST", "/v1/duplicates", {"threshold": 0.1}, 400),
        ("GET", "/v1/history?top=5", None, 200),
        ("GET", "/v1/history?top=0", None, 400),
        ("DELETE", "/v1/history", None, 200),
        ("PUT", "/v1/saved/cats", {"arguments": ["cat", "-n", "3"]}, 200),
        ("PUT", "/v1/saved/cats", {"arguments": []}, 400),
        ("GET", "/v1/saved/cats", None, 200),
        ("GET", "/v1/saved/dogs", None, 404),
        ("GET", "/v1/saved", None, 200),
        ("DELETE", "/v1/saved/cats", None, 200),
        ("DELETE", "/v1/saved/dogs", None, 404),
        ("GET", "/v1/completions", None, 200),
        ("GET", "/v1/model", None, 200),
        ("PUT", "/v1/model", {"spec": "builtin", "now": True}, 200),
        ("POST", "/v1/verify", {"repair": True}, 200),
        ("GET", "/v1/config", None, 200),
        ("GET", "/v1/metrics", None, 200),
        ("GET", "/v1/stats", None, 200),
        ("GET", "/v1/stats?days=0", None, 400),
        ("DELETE", "/v1/stats/words", None, 200),
        ("POST", "/v1/stop", {}, 200),
        ("POST", "/v1/stop", {"x": 1}, 400),
    ],
)
def test_live_answers_fit_the_document(api, document, method, target, body, status):
    reply = api.ask(method, target, body)
    assert reply.status == status
    check_answer(document, method, target, reply)


def test_refusals_over_tcp_fit_the_document(api, document):
    check_answer(document, "GET", "/v1/status", api.ask("GET", "/v1/status", tcp=True))
    foreign = api.ask("GET", "/v1/status", headers={"Host": "evil.example"}, tcp=True)
    check_answer(document, "GET", "/v1/status", foreign)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "id", "path", "path_b64", "weight"]), inner)
    ),
    max_leaves=10,
)


@st.composite
def almost_requests(draw, name):
    """An object with the right keys, and often with wrong values."""
    fragment = REQUESTS[name]
    keys = [*fragment.get("properties", {}), "surprise"]
    good = {
        "terms": [{"text": "x"}],
        "paths": ["/"],
        "top": 3,
        "in": ["/"],
        "near": [1.5, 2, 3],
        "min_size": [10, 10],
        "spec": "auto",
        "timeout_s": 0,
    }
    chosen = draw(st.lists(st.sampled_from(keys), unique=True))
    return {
        key: draw(st.just(good[key]) | json_values if key in good else json_values)
        for key in chosen
    }


# JSON Schema takes 1.0 for a whole number; here a whole number is written as one.
Strict = jsonschema.validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


@pytest.mark.parametrize("name", sorted(REQUESTS))
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_refused_is_what_the_document_forbids(name, data):
    value = data.draw(almost_requests(name) | json_values)
    fragment = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": COMPONENTS}}
    try:
        jsonschema.validate(value, fragment, cls=Strict)
    except jsonschema.ValidationError:
        with pytest.raises(UsageError):
            schema.check(value, COMPONENTS[name], COMPONENTS)
    else:
        schema.check(value, COMPONENTS[name], COMPONENTS)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=almost_requests("SearchRequest"))
def test_any_search_is_answered_as_the_document_says(api, document, body):
    check_answer(document, "POST", "/v1/search", api.ask("POST", "/v1/search", body))


def test_a_keyword_that_is_not_checked_is_never_ignored():
    with pytest.raises(KeyError):
        schema.check({}, {"minProperties": 1}, {})
