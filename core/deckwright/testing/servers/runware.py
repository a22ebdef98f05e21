"""A stand-in for Runware, which makes pictures with many models, and its errors as faults.

Modelled on Runware's documentation (authentication, image inference, task details, account management, errors)
and on its client library for Python, from which the families of error codes are.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from deckwright.testing.servers import samples
from deckwright.testing.servers.base import Exchange, LocalServer, Received, Reply
from deckwright.testing.servers.faults import LostReply
from deckwright.testing.servers.runware_rules import (
    Task,
    TaskError,
    check_image_task,
    check_uuid,
    price,
    total_price,
)

_DOCUMENTATION = "https://runware.ai/docs/platform/errors"
_MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


def error(code: str, message: str = "", task: Task | None = None, **details: Any) -> dict[str, Any]:
    """Return one entry of the list `errors`.

    Args:
        code: The code of the error, such as `"invalidPositivePrompt"`.
        message: The message.
        task: The task that failed, if any.
        **details: Further details: `parameter`, `type`, `min`, `max`, `multiplier`, `allowedValues`.
    """
    about: Task = {name: task[name] for name in ("taskType", "taskUUID") if task and name in task}
    return {"code": code, "message": message or code, **details, **about, "documentation": _DOCUMENTATION}


@attrs.frozen
class TaskErrors:
    """The tasks of a request fail, each with its own error. They are neither run nor charged.

    Attributes:
        code: The errors' code.
        status: The HTTP status.
        message: The errors' text.
        parameter: The wrong parameter.
        headers: Additional headers.
        spared: The number of tasks at the beginning that are carried out. If there are any, the status is 200
            and the reply has both `data` and `errors`.
    """

    code: str
    status: int = 400
    message: str = ""
    parameter: str | list[str] | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    spared: int = 0

    def apply(self, exchange: Exchange) -> None:
        """Carry out the spared tasks, and report errors for the others."""
        exchange.send(self.reply(exchange))

    def reply(self, exchange: Exchange) -> Reply:
        """Return the reply without sending it."""
        tasks = _tasks(exchange.received) or []
        credentials = [task for task in tasks if task.get("taskType") == "authentication"]
        tasks = [task for task in tasks if task.get("taskType") != "authentication"]
        details = {} if self.parameter is None else {"parameter": self.parameter}
        failed: list[Task | None] = [*tasks[self.spared :]] if tasks else [None]
        errors = [error(self.code, self.message, task, **details) for task in failed]
        spared = tasks[: self.spared]
        if not spared:
            return Reply.of_json({"errors": errors}, self.status, self.headers)
        body = json.dumps([*credentials, *spared]).encode()
        reply = json.loads(exchange.server.answer(attrs.evolve(exchange.received, body=body)).body)
        reply["errors"] = [*reply.get("errors", []), *errors]
        return Reply.of_json(reply, 200, self.headers)


INVALID_PROMPT = TaskErrors("invalidPositivePrompt", parameter="positivePrompt")
MISSING_PARAMETER = TaskErrors("missingModel", parameter="model")
UNSUPPORTED_PARAMETER = TaskErrors("unsupportedParameter", parameter=["steps", "CFGScale"])
UNSAFE_CONTENT = TaskErrors("safetyContentDetected", message="The content was found to be unsafe.")
INVALID_API_KEY = TaskErrors("invalidApiKey", 401)
# Documented with 402, but seen with 400 and with 200 as well.
INSUFFICIENT_CREDITS = TaskErrors("insufficientCredits")
INSUFFICIENT_CREDITS_200 = TaskErrors("insufficientCredits", 200)
INSUFFICIENT_CREDITS_402 = TaskErrors("insufficientCredits", 402)
INSUFFICIENT_BALANCE = TaskErrors("insufficientBalance", 402)
EXCEEDED_QUOTA = TaskErrors("exceededQuota", 402)
FORBIDDEN = TaskErrors("forbidden", 403)
NOT_FOUND = TaskErrors("notFound", 404)
RATE_LIMITED = TaskErrors("exceededRateLimit", 429, headers={"Retry-After": "1"})
SERVER_ERROR = TaskErrors("internalError", 500)
PROVIDER_ERROR = TaskErrors("providerError", 500, message="The model's provider failed.")
UNAVAILABLE = TaskErrors("serviceUnavailable", 503)
TIMEOUT = TaskErrors("timeoutProvider", 504)
# Of several tasks, the first is carried out and the others are refused.
PARTIAL_SUCCESS = attrs.evolve(INVALID_PROMPT, spared=1)
# The tasks are carried out and charged, but the client does not get the result.
LOST_REPLY = LostReply()
LOST_REPLY_504 = LostReply(TIMEOUT)


class RunwareServer(LocalServer):
    """Speaks Runware's API over HTTP: `POST /v1` with an array of tasks, and the pictures that come of them.

    Authentication is a bearer token or a leading `authentication` task. Tasks are `imageInference` (now or
    `async`), `getResponse`, `getTaskDetails`, `accountManagement` with `getDetails`, and `ping`. Each is checked
    and carried out by itself; a reply may have `data` and `errors`, and the data are never in the order of the
    tasks, but the last first. The status is 200 unless all tasks failed.

    A picture costs $0.0019 at 512 x 512 and $0.0038 at 1024 x 1024, both with 28 steps, and in proportion else. A
    task is charged each time it is carried out, also under a `taskUUID` that was used before: the real service
    does not promise otherwise, so a client should ask `getTaskDetails` first. With the header
    `X-Runware-Dry-Run: 1` tasks are checked and priced only; that such a reply has `taskUUID` and `cost` is our
    reading, as it is documented nowhere.

    Attributes:
        balance: What is left, in US dollars; a task that costs more fails with `insufficientCredits`.
        charged: By taskUUID, how often a task was charged.
        spent: What all of it cost, in US dollars.
        images: By address, the pictures made.
        downloads_with_key: How many downloads of pictures came with an Authorization header. A client must send
            none, or it hands its key to the host of the pictures.
        polls: How often `getResponse` answers "processing" before an asynchronous task is done.
    """

    def __init__(
        self,
        key: str = "runware-key",
        *,
        balance: float = 100.0,
        polls: int = 1,
        port: int = 0,
        latency: float = 0,
    ) -> None:
        """Prepare a server; it does not listen yet.

        Args:
            key: The only valid API key.
            balance: What there is to spend, in US dollars.
            polls: How often `getResponse` answers "processing" before an asynchronous task is done.
            port: The port; 0 for any free one.
            latency: Seconds before each reply.
        """
        super().__init__(port=port, latency=latency)
        self.key = key
        self.balance = balance
        self.charged: Counter[str] = Counter()
        self.spent = 0.0
        self.images: dict[str, bytes] = {}
        self.downloads_with_key = 0
        self.polls = polls
        self._past: dict[str, dict[str, Any]] = {}
        self._queued: dict[str, _Queued] = {}

    @property
    def base_url(self) -> str:
        """The value for the setting `base_url` of a provider."""
        return f"{self.url}/v1"

    def respond(self, received: Received) -> Reply:
        """Carry out tasks, or send a picture."""
        path = received.path.partition("?")[0]
        if path in self.images and received.method in ("GET", "HEAD"):
            self.downloads_with_key += "authorization" in received.headers
            return Reply(200, self.images[path], {"Content-Type": _MEDIA_TYPES[path.rpartition(".")[2]]})
        if (received.method, path) != ("POST", "/v1"):
            return _failed(404, error("notFound", f"There is nothing at {path}."))
        tasks = _tasks(received)
        if tasks is None:
            return _failed(400, error("invalidRequest", "The body must be an array of task objects."))
        keys = [received.headers.get("authorization", "").removeprefix("Bearer ")]
        if tasks and tasks[0].get("taskType") == "authentication":
            keys.append(str(tasks.pop(0).get("apiKey", "")))
        if self.key not in keys:
            return _failed(401, error("invalidApiKey" if any(keys) else "missingApiKey"))
        return self._carry_out(tasks, is_dry=received.headers.get("x-runware-dry-run") == "1")

    def _carry_out(self, tasks: list[Task], *, is_dry: bool) -> Reply:
        data: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        status = 200
        for task in tasks:
            try:
                data[:0] = self._results(task, is_dry=is_dry)
            except TaskError as failure:
                status = failure.status
                errors.append(error(failure.code, failure.message, task, **failure.details))
        reply = {**({"data": data} if data or not errors else {}), **({"errors": errors} if errors else {})}
        for task in tasks:
            if task.get("taskType") == "imageInference" and not is_dry:
                self._past[str(task.get("taskUUID"))] = {"request": tasks, "response": reply}
        return Reply.of_json(reply, 200 if data else status)

    def _results(self, task: Task, *, is_dry: bool) -> list[dict[str, Any]]:
        kind = task.get("taskType")
        if kind == "ping":
            return [{"taskType": "ping", "pong": True}]
        check_uuid(task)
        head = {"taskType": kind, "taskUUID": task["taskUUID"]}
        if kind == "imageInference":
            check_image_task(task)
            return [{**head, "cost": total_price(task)}] if is_dry else self._infer(task)
        if kind == "getResponse":
            return self._poll(task)
        if kind == "getTaskDetails":
            if task["taskUUID"] not in self._past:
                raise TaskError("taskNotFound", "There was no such task.", status=404)
            return [{**head, **self._past[task["taskUUID"]]}]
        if kind == "accountManagement" and task.get("operation") == "getDetails":
            balance = {"amount": round(self.balance, 6), "freeBalance": 0, "currency": "USD"}
            return [{**head, "operation": "getDetails", "balance": balance}]
        raise TaskError("invalidTaskType", f"There is no task type {kind!r}.", {"parameter": "taskType"})

    def _infer(self, task: Task) -> list[dict[str, Any]]:
        total = total_price(task)
        if total > self.balance:
            raise TaskError("insufficientCredits", "The balance does not cover this task.")
        self.balance -= total
        self.spent += total
        self.charged[task["taskUUID"]] += 1
        results = [self._picture(task, number) for number in range(task.get("numberResults", 1))]
        if task.get("deliveryMethod", "sync") == "sync":
            return results
        self._queued[task["taskUUID"]] = _Queued(self.polls, results)
        return [{"taskType": "imageInference", "taskUUID": task["taskUUID"]}]

    def _picture(self, task: Task, number: int) -> dict[str, Any]:
        name = f"{task['taskUUID']}/{self.charged[task['taskUUID']]}/{number}"
        id = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
        extension = task.get("outputFormat", "JPG").lower()
        media_type = _MEDIA_TYPES[extension]
        colour = samples.colour_of(f"{task['positivePrompt']} {number}")
        image = samples.picture(media_type.removeprefix("image/"), task["width"], task["height"], colour)
        result = {"taskType": "imageInference", "taskUUID": task["taskUUID"], "imageUUID": id}
        output = task.get("outputType", "URL")
        if output == "URL":
            path = f"/image/ws/{id}.{extension}"
            self.images[path] = image
            result["imageURL"] = self.url + path
        elif output == "base64Data":
            result["imageBase64Data"] = base64.b64encode(image).decode()
        else:
            result["imageDataURI"] = f"data:{media_type};base64,{base64.b64encode(image).decode()}"
        result["seed"] = task.get("seed", zlib.crc32(id.encode())) + number
        if task.get("includeCost"):
            result["cost"] = price(task)
        return result

    def _poll(self, task: Task) -> list[dict[str, Any]]:
        queued = self._queued.get(task["taskUUID"])
        if queued is None:
            raise TaskError("taskNotFound", "There is no such task under way.", status=404)
        if queued.polls:
            queued.polls -= 1
            status = {"taskType": "imageInference", "taskUUID": task["taskUUID"], "status": "processing"}
            return [status for _ in queued.results]
        return [{**result, "status": "success"} for result in queued.results]


@attrs.define
class _Queued:
    """An asynchronous task: how often it says that it is not done yet, and what comes then."""

    polls: int
    results: list[dict[str, Any]]


def _tasks(received: Received) -> list[Task] | None:
    """Return the tasks of a request, or `None` if its body is not an array of objects."""
    try:
        tasks = received.json()
    except ValueError:
        return None
    return tasks if isinstance(tasks, list) and all(isinstance(task, dict) for task in tasks) else None


def _failed(status: int, failure: dict[str, Any]) -> Reply:
    return Reply.of_json({"errors": [failure]}, status)
