"""A declaration of files; loads nothing that reads them."""

from __future__ import annotations

from dataclasses import dataclass

from providers.files.layout import Layout


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """Hold a declaration as it is stored."""

    name: str
    path: str
    layout: Layout

    @property
    def provider(self) -> str:
        """Return the provider's name under which its series are stored."""
        return f"files:{self.name}"
