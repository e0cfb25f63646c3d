"""Read the environment, for the settings and for scripts that need no Django.

Nothing else reads it.
"""

from __future__ import annotations

import os
from pathlib import Path


class BadSetting(Exception):
    """Say which variable cannot be used and what it must be; never shows the value."""

    def __init__(self, name: str, expectation: str) -> None:
        self.name = name
        self.expectation = expectation
        super().__init__(
            f"The environment variable {name} must be {expectation}: correct or unset it."
        )


def env_text(name: str, default: str = "") -> str:
    """Return a variable's text without surrounding blanks; empty counts as unset."""
    return os.environ.get(name, "").strip() or default


def env_flag(name: str, default: bool = False) -> bool:
    """Return a yes/no variable; anything but 1 0 true false yes no on off raises BadSetting."""
    text = env_text(name).lower()
    if not text:
        return default
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise BadSetting(name, "one of 1, 0, true, false, yes, no, on, off")


def env_int(name: str, default: int, *, lowest: int, highest: int) -> int:
    """Return a whole number within its bounds, or raise BadSetting."""
    text = env_text(name)
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        raise BadSetting(name, f"a whole number from {lowest} to {highest}") from None
    if not lowest <= number <= highest:
        raise BadSetting(name, f"a whole number from {lowest} to {highest}")
    return number


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """Return one of the allowed words, or raise BadSetting."""
    text = env_text(name, default).lower()
    if text not in choices:
        raise BadSetting(name, "one of " + ", ".join(choices))
    return text


def env_list(name: str, default: str = "") -> list[str]:
    """Return the comma-separated parts of a variable."""
    return [part.strip() for part in env_text(name, default).split(",") if part.strip()]


def env_secret(name: str) -> str:
    """Return a secret from NAME or from the file that NAME_FILE names; '' when neither is set."""
    path = env_text(f"{name}_FILE")
    if not path:
        return env_text(name)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSetting(f"{name}_FILE", "the path of a readable file") from error
