"""How several options are one decorator, and how they are read before a command sees them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])


class Decorator(Protocol):
    """Take a command and give it back with options."""

    def __call__(self, command: Command, /) -> Command:
        """Decorate a command of whatever kind."""
        ...


def together(*decorators: Decorator) -> Decorator:
    """Apply several options as one, in the order in which --help lists them."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def before(prepare: Callable[[dict[str, Any]], None]) -> Decorator:
    """Let `prepare` rewrite the keyword arguments before the command sees them."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def prepared(**given: Any) -> Any:
            prepare(given)
            return command(**given)

        return prepared  # type: ignore[return-value]

    return decorate
