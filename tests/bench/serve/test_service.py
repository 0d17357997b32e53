"""The service in this process: its answers are the classifier's, and a bad request is told why."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

from bench.serve import app, logs
from bench.serve.limits import ServeLimits
from reaugkd.errors import UserError
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from tests.reaugkd.retrieval.test_classifier import TEXTS, classifier
from tests.reaugkd.retrieval.test_editable import NAMES, NEW, editable

Serve = Callable[..., TestClient]
LIMITS = ServeLimits(max_texts=4, max_chars=50, max_body=2000)
REST = {"root_path": "", "query_string": b"", "http_version": "1.1", "raw_path": b"/predict"}
TYPE = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def model() -> RetrievalAugmentedClassifier:
    """A classifier with names of classes and texts of entries, only to be read."""
    made: RetrievalAugmentedClassifier = editable()
    return made


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts services, and stops them at the end."""
    with ExitStack() as stack:

        def started(model: Any, limits: ServeLimits = LIMITS, **more: Any) -> TestClient:
            service = app.make(model, "c", limits, **more)
            return stack.enter_context(TestClient(service, base_url="http://localhost:8000"))

        yield started


def answers(client: TestClient, path: str, texts: Sequence[Any]) -> list[Any]:
    response = client.post(path, json={"texts": [*texts]})
    assert response.status_code == 200, response.text
    told: list[Any] = response.json()["answers"]
    return told


def assert_answered(client: TestClient) -> None:
    assert len(answers(client, "/predict", [TEXTS[0]])) == 1


def by_name(values: Sequence[float]) -> Any:
    return pytest.approx(dict(zip(NAMES, values, strict=True)), abs=1e-5)


@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_an_answer_is_the_classifiers(
    path: str, model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    texts = [*TEXTS[:2], NEW[0], ""]  # an empty text is a text
    for text, told in zip(texts, answers(serve(model), path, texts), strict=True):
        wanted = model.explain(text)
        assert told["label"] == wanted.label
        assert told["probabilities"] == by_name(wanted.probabilities)
        assert told["student"]["label"] == wanted.student_label
        assert told["student"]["probabilities"] == by_name(wanted.student)
        shares = [told["student"]["share"], *(entry["share"] for entry in told["neighbours"])]
        assert sum(shares) == pytest.approx(1.0)
        for entry, near in zip(told["neighbours"], wanted.neighbours, strict=True):
            assert entry["id"] == near.id
            assert entry["similarity"] == pytest.approx(near.similarity, abs=1e-5)
            assert entry["share"] == pytest.approx(near.share, abs=1e-5)
            if path == "/predict":  # texts of entries are for those who ask for them
                assert set(entry) == {"id", "similarity", "share"}
                continue
            assert near.text is not None
            assert [entry["text"]] == [*near.text]
            assert entry["label"] == near.label
            assert entry["probabilities"] == by_name(near.values)


def test_scores_numbers_of_classes_and_pairs(serve: Serve) -> None:
    score = answers(serve(classifier(outputs=1)), "/explain", TEXTS[:1])[0]
    assert isinstance(score["label"], float)
    assert (score["probabilities"], score["student"]["probabilities"]) == (None, None)
    told = answers(serve(classifier(pair=True)), "/predict", [["bread", "the soup"]])[0]
    assert set(told["probabilities"]) == {"0", "1", "2"}
    assert max(told["probabilities"], key=told["probabilities"].get) == str(told["label"])
    either = serve(classifier())
    assert either.get("/health").json()["takes"] == "either"
    for texts in (["bread"], [["bread", "bread"]]):
        assert len(answers(either, "/predict", texts)) == 1


def test_eight_clients_at_once_hear_what_each_would_hear_alone(
    model: RetrievalAugmentedClassifier, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, explain_all = [], model.explain_all

    def explain(texts: Any, batch: int) -> Any:
        sizes.append(len(texts))
        return explain_all(texts, batch)

    monkeypatch.setattr(model, "explain_all", explain)
    client = serve(model, ServeLimits(max_batch=8, max_wait=10_000))
    texts = [*TEXTS, *NEW]
    with ThreadPoolExecutor(8) as pool:
        told = [*pool.map(lambda text: answers(client, "/predict", [text])[0], texts)]
    assert sizes == [8]
    for text, answer in zip(texts, told, strict=True):
        (alone,) = explain_all([text])
        assert answer["label"] == alone.label
        assert answer["probabilities"] == by_name(alone.probabilities)
        assert [n["id"] for n in answer["neighbours"]] == [n.id for n in alone.neighbours]


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        (b"", 400, "the body is no JSON"),
        (b'{"texts": ["a"', 400, "the body is no JSON"),
        (b'{"texts": ["\xff"]}', 400, "the body is no JSON"),
        (b"[" * 1900, 400, "the body is no JSON"),
        (b"1" * 1900, 422, "expected an object with texts"),
        (b"1" * 1900 + b"}", 400, "the body is no JSON"),
        (b"null", 422, "expected an object with texts"),
        (b'["a"]', 422, "expected an object with texts"),
        (b'{"text": ["a"]}', 422, 'send {"texts": ["one", "another"]}'),
        (b'{"texts": ["a"], "k": 3}', 422, 'unknown field "k"'),
        (b'{"texts": ["a"], "\\ud800": 3}', 422, r'unknown field "\ud800"'),
        (b'{"texts": "a"}', 422, "texts is no list"),
        (b'{"texts": null}', 422, "texts is no list"),
        (b'{"texts": []}', 422, "texts is empty: send at least one"),
        (b'{"texts": ["a", 5]}', 422, "text 1 is 5 (int), expected a string"),
        (b'{"texts": [NaN]}', 422, "text 0 is nan (float), expected a string"),
        (b'{"texts": [null]}', 422, "text 0 is None, expected a string"),
        (b'{"texts": [{"a": 1}]}', 422, "text 0 is {'a': 1} (dict), expected a string"),
        (b'{"texts": [["a", "b"]]}', 422, "text 0 is a list of 2, but the task takes one sentence"),
        (b'{"texts": ["ab\\ud800"]}', 422, r"lone surrogate '\ud800' at character 2"),
        (b'{"texts": ["a", "a", "a", "a", "a"]}', 422, "5 texts are more than 4: send several"),
        (b'{"texts": ["a", "%s"]}' % (b"b" * 51), 422, "text 1 has 51 characters, at most 50"),
        (b'{"texts": ["%s"]}' % (b"b" * 2000), 413, "more than 2,000 bytes"),
        (b'{"texts": ["%s"]}' % (b"b" * 2**20), 413, "more than 2,000 bytes"),
    ],
)
def test_a_bad_request_is_one_line_that_says_what_to_mend(
    body: bytes, status: int, line: str, model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    client = serve(model)
    for path in ("/predict", "/explain"):
        response = client.post(path, content=body, headers=TYPE)
        assert response.status_code == status, response.text
        assert set(response.json()) == {"error"}
        assert line in response.json()["error"]
        assert "\n" not in response.json()["error"]
    assert_answered(client)


def test_what_the_limits_allow_no_request_to_ask(
    model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    client = serve(model, ServeLimits())
    for texts, status, line in (
        (["a"] * 10_000, 422, "10,000 texts are more than 256"),
        (["a" * 10**6], 422, "text 0 has 1,000,000 characters, at most 20,000"),
        (["a" * 2**20], 413, "more than 1,048,576 bytes"),
    ):
        response = client.post("/predict", json={"texts": texts})
        assert (response.status_code, line in response.json()["error"]) == (status, True)
    assert len(answers(client, "/predict", ["a " * 10_000])) == 1


@pytest.mark.parametrize("ended", [True, False])
def test_a_body_that_does_not_come_is_given_up(
    ended: bool, model: RetrievalAugmentedClassifier
) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        if not ended:
            await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
    asyncio.run(app.make(model, "c", ServeLimits(timeout=0.05))(scope | REST, receive, send))
    assert sent[0]["status"] == (400 if ended else 408)
    assert "body" in json.loads(sent[1]["body"])["error"]


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (["a"], "text 0 is one sentence, but the task takes pairs"),
        ([["a", "b", "c"]], "text 0 has 3 parts"),
        ([["a", "b"], ["a"]], "text 1 has 1 parts"),
        ([["a", 5]], "text 0, second sentence, is 5 (int)"),
        ([["a", "b" * 51]], "text 0 has 51 characters"),
    ],
)
def test_a_bad_pair_is_named(texts: list[Any], line: str, serve: Serve) -> None:
    response = serve(classifier(pair=True)).post("/predict", json={"texts": texts})
    assert (response.status_code, line in response.json()["error"]) == (422, True)


def test_what_is_no_json_by_name_is_refused_before_it_is_read(
    model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    client = serve(model)
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = client.post(
            "/predict", content=b'{"texts": ["a"]}', headers={"Content-Type": kind}
        )
        assert response.status_code == 415
        assert "Content-Type: application/json" in response.json()["error"]
    kind = "Application/JSON; charset=utf-8"
    told = client.post("/predict", content=b'{"texts": ["a"]}', headers={"Content-Type": kind})
    assert told.status_code == 200


def test_answers_that_are_not_finite_are_refused_and_spoil_no_other(serve: Serve) -> None:
    model = editable()
    client = serve(model)
    with torch.no_grad():
        bias = model.encoder.head.bias.clone()
        model.encoder.head.bias.fill_(torch.nan)
        response = client.post("/predict", json={"texts": TEXTS[:2]})
        model.encoder.head.bias.copy_(bias)
    assert response.status_code == 422
    assert response.json() == {"error": "the student's logits of text 0 are not finite"}
    assert_answered(client)


# --- what cannot be done in time, or at all ------------------------------------------------------


class Stuck:
    """A classifier that answers when it is told to."""

    def __init__(self, model: RetrievalAugmentedClassifier) -> None:
        self.knowledge_base, self.labels, self.pair = model.knowledge_base, model.labels, model.pair
        self.go, self.asked = threading.Event(), threading.Event()
        self._explain = model.explain_all

    def explain_all(self, texts: Any, batch: int) -> Any:
        self.asked.set()
        assert self.go.wait(30)
        return self._explain(texts, batch)


@pytest.fixture
def stuck(model: RetrievalAugmentedClassifier) -> Iterator[Stuck]:
    made = Stuck(model)
    yield made
    made.go.set()


def test_an_answer_that_takes_too_long_is_given_up(stuck: Stuck, serve: Serve) -> None:
    client = serve(stuck, ServeLimits(timeout=0.05))
    response = client.post("/predict", json={"texts": ["a"]})
    stuck.go.set()
    assert response.status_code == 504
    assert response.json()["error"].startswith("no answer within 0.05 seconds")


def test_when_too_many_wait_the_next_is_told_to_come_back(stuck: Stuck, serve: Serve) -> None:
    client = serve(stuck, ServeLimits(max_texts=1, max_queue=1, max_batch=1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(answers, client, "/predict", ["a"])
        assert stuck.asked.wait(30)
        second = pool.submit(answers, client, "/predict", ["b"])
        while "reaugkd_waiting_texts 1.0" not in client.get("/metrics").text:
            pass
        third = client.post("/predict", json={"texts": ["c"]})
        stuck.go.set()
        assert (len(first.result(30)), len(second.result(30))) == (1, 1)
    assert (third.status_code, third.headers["Retry-After"]) == (503, "1")
    assert "come back" in third.json()["error"]


def test_a_defect_tells_its_type_and_place_in_the_log_and_no_text_anywhere(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = editable()

    def explain(texts: Any, batch: int) -> Any:
        raise ZeroDivisionError(f"cannot answer {texts}")

    monkeypatch.setattr(logs.LOGGER, "propagate", True)
    with caplog.at_level(logging.INFO, "bench.serve"), monkeypatch.context() as patched:
        patched.setattr(model, "explain_all", explain)
        client = serve(model)
        response = client.post("/predict", json={"texts": ["my secret"]})
    assert response.status_code == 500
    assert response.json() == {"error": "a defect of the service: its log tells the place"}
    lines = [
        logs.JsonLines().format(record) for record in caplog.records if record.name == "bench.serve"
    ]
    assert not any("secret" in line for line in lines)
    defect = next(json.loads(line) for line in lines if json.loads(line)["level"] == "error")
    assert defect["error"] == "ZeroDivisionError"
    assert any("batching.py" in place for place in defect["at"])
    assert_answered(client)


def test_a_queue_that_could_never_take_a_whole_request_is_a_mistake() -> None:
    with pytest.raises(UserError, match="--max-queue 8 is less than --max-texts 9"):
        ServeLimits(max_queue=8, max_texts=9)


# --- around the answers --------------------------------------------------------------------------


def test_health_says_who_answers(model: RetrievalAugmentedClassifier, serve: Serve) -> None:
    client = serve(model)
    told = client.get("/health")
    assert told.status_code == 200
    assert told.json() == {
        "ready": True,
        "model": "c",
        "entries": 6,
        "takes": "sentences",
        "version": app.__version__,
    }
    assert client.head("/health").status_code == 200
    asleep = TestClient(app.make(model, "c"), base_url="http://localhost")  # it was never started
    assert (asleep.get("/health").status_code, asleep.get("/health").json()["ready"]) == (
        503,
        False,
    )


def test_metrics_count_requests_texts_and_batches(
    model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    client = serve(model)
    answers(client, "/predict", TEXTS[:3])
    answers(client, "/predict", TEXTS[:1])
    client.post("/explain", json={})
    client.get("/nowhere/my/secret")
    told = client.get("/metrics").text
    for line in (
        'reaugkd_requests_total{path="/predict",status="200"} 2.0',
        'reaugkd_requests_total{path="/explain",status="422"} 1.0',
        'reaugkd_requests_total{path="other",status="404"} 1.0',
        'reaugkd_request_seconds_count{path="/predict"} 2.0',
        "reaugkd_batch_texts_count 2.0",
        "reaugkd_batch_texts_sum 4.0",
        "reaugkd_entries 6.0",
    ):
        assert line in told.splitlines()
    assert "secret" not in told


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:8000", 200),
        ("texts.example.org", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example@localhost", 421),
        ("localhost@evil.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_it_answers_only_to_its_names(
    host: str, status: int, model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    client = serve(model, hosts=("Texts.example.org",))
    response = client.get("/health", headers={"Host": host})
    assert response.status_code == status
    assert status == 200 or "--allow-host" in response.json()["error"]


@pytest.mark.parametrize("path", ["/", "/health", "/nowhere", "/metrics"])
def test_every_answer_carries_the_policy(
    path: str, model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    headers = serve(model).get(path).headers
    policy = headers["Content-Security-Policy"]
    assert all(part in policy for part in ("default-src 'none'", "connect-src 'self'"))
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers


def test_the_page_needs_nothing_from_elsewhere(
    model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    response = serve(model).get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?://|//\w+\.|@import|\bsrc=|innerHTML", response.text)


@pytest.mark.parametrize(
    ("pair", "shapes"), [(False, {"sentences"}), (True, {"pairs"}), (None, {"sentences", "pairs"})]
)
def test_the_description_has_limits_and_examples_that_are_answered(
    pair: bool | None, shapes: set[str], serve: Serve
) -> None:
    client = serve(classifier(pair=pair))
    told = client.get("/openapi.json").json()
    assert set(told["paths"]) == {"/predict", "/explain", "/health", "/metrics"}
    for path in ("/predict", "/explain"):
        post = told["paths"][path]["post"]
        content = post["requestBody"]["content"]["application/json"]
        texts = content["schema"]["properties"]["texts"]
        kinds = texts.get("anyOf", [texts])
        assert [kind["maxItems"] for kind in kinds] == [4] * len(shapes)
        assert set(content["examples"]) == shapes
        for example in content["examples"].values():
            assert client.post(path, json=example["value"]).status_code == 200
        assert {"200", "400", "413", "415", "422", "503", "504"} <= set(post["responses"])


def test_what_is_not_served_is_told_in_the_same_form(
    model: RetrievalAugmentedClassifier, serve: Serve
) -> None:
    client = serve(model)
    for response, status in (
        (client.get("/docs"), 404),
        (client.get("/%2e%2e/%2e%2e/etc/passwd"), 404),
        (client.get("/predict"), 405),
        (client.put("/predict", json={}), 405),
    ):
        assert (response.status_code, set(response.json())) == (status, {"error"})
