"""Terms with a real model and real decoders, and examples that are fetched from a URL."""

from __future__ import annotations

import base64
import http.server
import io
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest

from imgqd.errors import UsageError
from imgqd.indexing.decode import DecoderPool
from imgqd.models.build import prepare
from imgqd.models.image import ImageEncoder
from imgqd.models.text import TextEncoder
from imgqd.search import fetch as fetch_module
from imgqd.search.fetch import fetch
from imgqd.search.terms import TextCache, Towers, parse_terms, query_vector
from tests.photographs import photograph


@pytest.fixture(scope="module")
def towers(tiny_model: str, models_dir: str) -> Iterator[Towers]:
    artifact = prepare(tiny_model, models_dir)
    text = TextEncoder(artifact, threads=1)
    image = ImageEncoder(artifact, device="cpu", threads=1, idle_unload_s=60, batch=4)
    decoder = DecoderPool(workers=1, timeout_s=30, max_pixels=10**8, memory_mb=1024)
    yield Towers(artifact.id, text, image, artifact.preprocess, decoder, lambda i: None)
    image.close()
    text.close()
    decoder.close()


def jpeg(name: str) -> bytes:
    stream = io.BytesIO()
    photograph(name).save(stream, "JPEG")
    return stream.getvalue()


def test_texts_and_example_pictures_add_up(towers: Towers) -> None:
    data = jpeg("chelsea")
    terms = parse_terms(
        [
            {"text": "a cat", "weight": 2},
            {"image": base64.b64encode(data).decode(), "name": "chelsea.jpg"},
            {"text": "a dog", "negative": True, "weight": 0.5},
        ]
    )
    found = query_vector(terms, towers, TextCache())
    cat, dog = towers.text.encode(["a cat", "a dog"])
    with tempfile.TemporaryFile() as stream:
        stream.write(data)
        stream.flush()
        decoded = towers.decoder.decode(stream.fileno(), towers.preprocess)
    picture = towers.image.encode(decoded.pixels[None])[0]
    expected = 2 * cat + picture - 0.5 * dog
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


def test_an_example_that_is_no_picture_is_refused_by_name(towers: Towers) -> None:
    terms = parse_terms([{"image": base64.b64encode(b"hello").decode(), "name": "notes.jpg"}])
    with pytest.raises(UsageError) as refusal:
        query_vector(terms, towers, TextCache())
    assert "notes.jpg" in refusal.value.message


def test_the_bytes_of_an_example_are_not_told() -> None:
    (term,) = parse_terms([{"image": base64.b64encode(b"secret").decode(), "name": "me.jpg"}])
    assert term.to_json() == {"image": "me.jpg", "weight": 1.0, "negative": False}


Respond = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Respond], str]]:
    """Starts servers on loopback; returns their URL."""
    servers = []

    def start(respond: Respond) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                respond(self)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(
    handler: http.server.BaseHTTPRequestHandler, body: bytes, length: int | None = None
) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def redirect(handler: http.server.BaseHTTPRequestHandler, to: str) -> None:
    handler.send_response(302)
    handler.send_header("Location", to)
    handler.end_headers()


def test_a_picture_is_fetched_and_used(towers: Towers, serve: Callable[[Respond], str]) -> None:
    data = jpeg("coffee")
    url = serve(lambda handler: answer(handler, data)) + "/coffee.jpg"
    from_url = query_vector(parse_terms([{"url": url}]), towers, TextCache())
    sent = parse_terms([{"image": base64.b64encode(data).decode()}])
    np.testing.assert_array_equal(from_url, query_vector(sent, towers, TextCache()))


def test_redirects_are_followed_a_few_times(serve: Callable[[Respond], str]) -> None:
    target = serve(lambda handler: answer(handler, b"found"))
    assert fetch(serve(lambda handler: redirect(handler, target))) == b"found"
    endless = serve(lambda handler: redirect(handler, handler.path + "x"))
    with pytest.raises(UsageError, match="cannot be fetched"):
        fetch(endless + "/")


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x"])
def test_a_redirect_elsewhere_than_to_http_is_refused(
    to: str, serve: Callable[[Respond], str]
) -> None:
    with pytest.raises(UsageError, match=r"not allowed|no http or https URL"):
        fetch(serve(lambda handler: redirect(handler, to)))


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a/b", "http://", "https:///x", "http://a b/", "http://[::1", "x",
     "http://127.0.0.1:99999/", "http://127.0.0.1/\r\nX: y", ""],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        fetch(url)


def test_refusals_and_errors_name_the_url(serve: Callable[[Respond], str]) -> None:
    missing = serve(lambda handler: handler.send_error(404))
    with pytest.raises(UsageError, match="404") as refusal:
        fetch(missing + "/cat.jpg")
    assert "/cat.jpg" in refusal.value.message
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(UsageError, match="cannot be fetched"):
        fetch(url)


def test_too_large_is_refused_before_it_is_all_read(
    serve: Callable[[Respond], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "MOST_BYTES", 100_000)
    over = threading.Event()

    def pour(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            over.set()

    with pytest.raises(UsageError, match="larger"):
        fetch(serve(pour))
    assert over.wait(10)


def test_a_trickle_is_given_up(
    serve: Callable[[Respond], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "TIMEOUT_S", 0.3)

    def trickle(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                threading.Event().wait(0.02)

    with pytest.raises(UsageError, match="longer than"):
        fetch(serve(trickle))


def test_an_answer_that_is_cut_off_or_empty_is_refused(serve: Callable[[Respond], str]) -> None:
    with pytest.raises(UsageError, match="cut off"):
        fetch(serve(lambda handler: answer(handler, b"half", length=1000)))
    with pytest.raises(UsageError, match="empty"):
        fetch(serve(lambda handler: answer(handler, b"")))
