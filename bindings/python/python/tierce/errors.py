"""What can go wrong, by whose turn it is.

Every error of tierce is a `TierceError`. Its class says whose turn it is, its `code` what
happened (`registry/denied`: stable, fit to be matched on), and its `hint` what to do next.
"""

from __future__ import annotations

__all__ = [
    "EnvironmentFailure",
    "InternalError",
    "SpecificationError",
    "SpecificationTypeError",
    "StepError",
    "TierceError",
    "UpstreamError",
]


class TierceError(Exception):
    """Any error of tierce.

    Attributes:
        code: what happened, as a stable word: `registry/denied`.
        hint: what to do next, or None where the message says it all.
    """

    code: str
    hint: str | None

    def __init__(self, message: str, code: str = "python/error", hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        text = f"[{self.code}] {super().__str__()}"
        return f"{text}\nhint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[type[TierceError], tuple[str, str, str | None]]:
        return type(self), (self.args[0], self.code, self.hint)


class SpecificationError(TierceError, ValueError):
    """What the user wrote is wrong."""


class SpecificationTypeError(SpecificationError, TypeError):
    """A value has the wrong type: a `TypeError`, and the `ValueError` that flytekit raises."""


class EnvironmentFailure(TierceError):
    """The machine lacks something, or is in a wrong state."""


class UpstreamError(TierceError):
    """A registry, an index or an archive failed or refused."""


class StepError(TierceError):
    """A step of the build failed: a command, a package, a custom builder."""


class InternalError(TierceError):
    """tierce is at fault."""


def __dir__() -> list[str]:
    return __all__
