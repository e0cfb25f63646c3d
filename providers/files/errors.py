"""What can go wrong with files: the providers' errors, with file and line as attributes."""

from __future__ import annotations

from providers.errors import PayloadError, TransientError


class BadLayout(ValueError):
    """Signal a declaration that cannot be meant, or a file that does not follow it.

    The message says what to write; `line` is where in the file, counted from 1, if that is known.
    """

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class UnreadableFile(PayloadError):
    """Signal a file that cannot be read as declared; `line` counts from 1 where it is known."""

    def __init__(self, what: str, *, provider: str, file: str, line: int | None = None) -> None:
        where = file if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {what}", provider=provider)
        self.file = file
        self.line = line
        self.what = what


class FileChanged(TransientError):
    """Signal a file that was changed, or went away, while it was read."""

    def __init__(self, *, provider: str, file: str) -> None:
        super().__init__(
            f"{file} was changed or removed while it was read; it will be read again",
            provider=provider,
        )
        self.file = file
