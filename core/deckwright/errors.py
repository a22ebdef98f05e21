"""Every error that Deckwright raises on purpose.

All are `DeckwrightError`. Those for wrong input are `ValueError` too, so that a program may catch either. An error says
what is wrong and where; its `hint`, when it has one, says how to fix it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

import attrs

from deckwright.diagnostics import Diagnostic
from deckwright.secrets import redact

# What the code of a plugin may raise without ending a build. An interrupt is not included: that is the user's.
CATCHABLE = (Exception, SystemExit)


class DeckwrightError(Exception):
    """The base of all errors of this package.

    Args:
        message: What is wrong and where, in one sentence or a few lines.
        hint: What to do about it, when that is known.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def redact(self, secrets: Iterable[str]) -> None:
        """Mask every one of `secrets` in what this error says."""
        secrets = tuple(secrets)
        self.message = redact(self.message, secrets)
        self.hint = redact(self.hint, secrets) if self.hint else None
        self.args = (self.message,)

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Between processes it travels as it is, however its constructor makes it.
        return _remade, (type(self), self.args, self.__dict__.copy())


def _remade(kind: type[DeckwrightError], args: tuple[Any, ...], state: dict[str, Any]) -> DeckwrightError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class DiagnosticsError(DeckwrightError, ValueError):
    """Everything that was found wrong at once.

    Attributes:
        diagnostics: One for each fault.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        if len(self.diagnostics) == 1:
            [only] = self.diagnostics
            super().__init__(str(attrs.evolve(only, hint="")), hint=only.hint or None)
        else:
            super().__init__("\n".join(map(str, self.diagnostics)))

    def redact(self, secrets: Iterable[str]) -> None:
        """Mask every one of `secrets` in what this error says."""
        secrets = tuple(secrets)
        super().redact(secrets)
        self.diagnostics = tuple(each.redacted(secrets) for each in self.diagnostics)


class ConfigError(DiagnosticsError):
    """The configuration is wrong in itself: every fault that was found, at once.

    Args:
        faults: Diagnostics, or one fault in words.
        hint: How to fix a fault that is given in words.
    """

    def __init__(self, faults: Iterable[Diagnostic] | str, *, hint: str | None = None) -> None:
        super().__init__([Diagnostic("error", "", faults, hint or "")] if isinstance(faults, str) else faults)


class SettingError(ConfigError):
    """One setting of one provider is wrong.

    Attributes:
        key: The setting's name, as written in the configuration.
        problem: What is wrong with it.
    """

    def __init__(self, key: str, problem: str, *, hint: str | None = None) -> None:
        super().__init__([Diagnostic("error", key, problem, hint or "")])
        self.key = key
        self.problem = problem


class UnknownProviderError(DeckwrightError, ValueError):
    """No plugin answers to this type or this name."""


class ProviderConflictError(DeckwrightError, ValueError):
    """Several plugins offer one type and name, and nothing chooses one of them."""


class PluginError(DeckwrightError):
    """A plugin cannot be used as it is."""


class RegistrationError(DeckwrightError, ValueError):
    """What was asked to be registered does not fit with what is there already."""


class ProvidersFailedError(DiagnosticsError):
    """Under `strict`: every provider and plugin that failed, and all else that was found."""


class DataError(DeckwrightError, ValueError):
    """A file of words or data cannot be read, or not be written; the message names file and line."""


class ReadOnlyError(DeckwrightError, PermissionError):
    """A data provider that is read-only was asked to write."""


class BuildError(DeckwrightError):
    """A deck cannot be built."""


class ProviderError(DeckwrightError):
    """A provider met something that keeps it from delivering: what its implementation raises.

    The class decides what the build does next. In every case the next provider of the pipeline is asked.

    Attributes:
        out_for_run: Asking this provider again in the same run is pointless.
        is_unexpected: The provider's code did not raise it on purpose: it raised another error, or hung.
        is_timeout: The provider hung.
    """

    out_for_run: ClassVar[bool] = False
    is_unexpected = False
    is_timeout = False


class TransientError(ProviderError):
    """A time-out, a lost connection, a server's own fault: another try may succeed.

    Attributes:
        reply_lost: The request was sent and its reply never came: the service may have done, and charged for,
            what it was asked.
    """

    def __init__(self, message: str, *, reply_lost: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reply_lost = reply_lost


class RateLimitedError(ProviderError):
    """Too many requests.

    Attributes:
        retry_after: Seconds to wait, as the service says; None when it does not.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class QuotaError(ProviderError):
    """The quota or the money is spent.

    Attributes:
        resets_at: When there will be more, with its time zone; None when that is not known.
    """

    out_for_run = True

    def __init__(self, message: str, *, resets_at: datetime | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.resets_at = resets_at


class BudgetError(QuotaError):
    """One more request might exceed the budget that the user has set."""


class AuthenticationError(ProviderError):
    """The service refuses the key or account."""

    out_for_run = True


class MissingDependencyError(ProviderError):
    """A package that the provider needs is not installed, or does not work on this machine."""

    out_for_run = True


class NotFoundError(ProviderError):
    """The provider works, and has nothing for this request: no such word, language or picture."""


class InvalidRequestError(ProviderError, ValueError):
    """The request itself is at fault."""


class ContentPolicyError(InvalidRequestError):
    """The service refuses the request for what it asks."""


class BadMediaError(ProviderError):
    """What came back is not the sound or picture that was asked for."""
