"""Which tasks are valid for the stand-in for Runware, and what a task costs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

import attrs

Task = dict[str, Any]

_DEFAULT_STEPS = 20
_CHOICES = {
    "outputType": ("URL", "base64Data", "dataURI"),
    "outputFormat": ("JPG", "PNG", "WEBP"),
    "deliveryMethod": ("sync", "async"),
}
_REQUIRED = ("model", "positivePrompt", "width", "height")
_OTHERS = (
    "taskType",
    "taskUUID",
    "negativePrompt",
    "scheduler",
    "includeCost",
    "webhookURL",
    "uploadEndpoint",
    "safety",
)


class TaskError(Exception):
    """One task fails.

    Attributes:
        code: The code of the error, such as `"invalidWidth"`.
        message: The message.
        status: The HTTP status, if no task succeeds.
        details: Further details, such as `parameter` and `type`.
    """

    def __init__(
        self, code: str, message: str, details: Mapping[str, Any] | None = None, *, status: int = 400
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.status = status


@attrs.frozen
class _Range:
    """The numbers that a parameter may have."""

    low: float
    high: float
    multiplier: int = 0
    whole: bool = True

    def allows(self, value: object) -> bool:
        return (
            isinstance(value, int if self.whole else (int, float))
            and not isinstance(value, bool)
            and self.low <= value <= self.high
            and not (self.multiplier and value % self.multiplier)
        )

    def details(self) -> dict[str, Any]:
        details: dict[str, Any] = {
            "type": "integer" if self.whole else "float",
            "min": self.low,
            "max": self.high,
        }
        return {**details, "multiplier": self.multiplier} if self.multiplier else details


_RANGES = {
    "width": _Range(128, 2048, multiplier=64),
    "height": _Range(128, 2048, multiplier=64),
    "steps": _Range(1, 100),
    "CFGScale": _Range(0, 50, whole=False),
    "numberResults": _Range(1, 20),
    "outputQuality": _Range(20, 99),
    "seed": _Range(0, 2**63 - 1),
    "ttl": _Range(60, 2**31),
}


def check_uuid(task: Task) -> None:
    """Check that a task has a valid id.

    Raises:
        TaskError: It has none, or one that is not a UUID of version 4.
    """
    if "taskUUID" not in task:
        raise _fault("missing", "taskUUID", "is required", {"type": "string"})
    try:
        version = uuid.UUID(task["taskUUID"]).version
    except (ValueError, AttributeError, TypeError):
        version = None
    if version != 4:
        raise _fault("invalid", "taskUUID", "must be a UUID v4", {"type": "string"})


def check_image_task(task: Task) -> None:
    """Check the parameters of an `imageInference` task.

    Raises:
        TaskError: For the first that is missing, unknown or wrong.
    """
    for name in _REQUIRED:
        if name not in task:
            raise _fault("missing", name, "is required")
    for name, value in task.items():
        if name not in (*_REQUIRED, *_OTHERS, *_RANGES, *_CHOICES):
            raise TaskError("unsupportedParameter", f"{name} is not supported.", {"parameter": name})
        if name in _RANGES and not _RANGES[name].allows(value):
            raise _fault("invalid", name, "is out of range", _RANGES[name].details())
        if name in _CHOICES and value not in _CHOICES[name]:
            details: dict[str, Any] = {"type": "string", "allowedValues": list(_CHOICES[name])}
            raise _fault("invalid", name, f"must be one of {', '.join(_CHOICES[name])}", details)
    if not re.fullmatch(r"[\w.-]+:[\w.-]+@[\w.-]+", str(task["model"])):
        raise _fault("invalid", "model", "must be source:id@version", {"type": "string"})
    prompt = task["positivePrompt"]
    if not isinstance(prompt, str) or not 2 <= len(prompt) <= 3000:
        details = {"type": "string", "min": 2, "max": 3000}
        raise _fault("invalid", "positivePrompt", "must have 2 to 3000 characters", details)


def price(task: Task) -> float:
    """Return the price of one picture of a valid task, in US dollars."""
    # A part of the price is fixed: four times the pixels cost twice as much.
    area: float = 2 / 3 + task["width"] * task["height"] / (3 * 512**2)
    steps: int = task.get("steps", _DEFAULT_STEPS)
    return round(0.0019 * area * steps / 28, 6)


def total_price(task: Task) -> float:
    """Return the price of all pictures of a valid task, in US dollars."""
    count: int = task.get("numberResults", 1)
    return round(price(task) * count, 6)


def _fault(kind: str, parameter: str, message: str, details: Mapping[str, Any] | None = None) -> TaskError:
    code = kind + parameter[0].upper() + parameter[1:]
    return TaskError(code, f"{parameter} {message}.", {"parameter": parameter, **(details or {})})
