"""Find adapters by name; an adapter's module is imported when it is first asked for.

Beside the adapters of this package there is one for each declared source of files, `files:NAME`.
Whoever keeps the declarations says here how to look them up.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from providers.base import Adapter
from providers.errors import UnknownProvider

if TYPE_CHECKING:
    from providers.files.declared import DeclaredSource

FILES: Final = "files:"
ADAPTERS: Final[dict[str, str]] = {
    "polygon": "providers.adapters.polygon:Polygon",
    "synthetic": "providers.adapters.synthetic:Synthetic",
    "yahoo": "providers.adapters.yahoo:Yahoo",
}


@dataclass(frozen=True, slots=True)
class Declarations:
    """Look declared sources of files up: one by its name, and the names of all."""

    find: Callable[[str], DeclaredSource | None]
    names: Callable[[], Sequence[str]]


_declarations: list[Declarations] = []


def keep_declarations(declarations: Declarations) -> None:
    """Say where declared sources are kept; the last word counts."""
    _declarations[:] = [declarations]


def adapter_names() -> list[str]:
    """List the names of all providers, sorted; declared sources are not among them."""
    return sorted(ADAPTERS)


def provider_named(name: str) -> str:
    """Return a provider's name as it is stored with its bars.

    A source of files that was removed still has a name: its bars stay. Raises UnknownProvider.
    """
    cleaned = name.strip().lower()
    return cleaned if cleaned.startswith(FILES) else get_adapter(cleaned).name


def get_adapter(name: str) -> Adapter:
    """Return the shared instance of an adapter, which holds no state.

    For a declared source it is a new one each time, which sees its folder as it is from then on.
    Raises UnknownProvider, which lists what is known.
    """
    cleaned = name.strip().lower()
    if cleaned.startswith(FILES):
        return _declared(cleaned)
    if cleaned not in ADAPTERS:
        raise UnknownProvider(name, known=[*adapter_names(), f"{FILES}NAME"])
    return _instance(ADAPTERS[cleaned])


def _declared(provider: str) -> Adapter:
    for declarations in _declarations:
        source = declarations.find(provider.removeprefix(FILES))
        if source is not None:
            adapter: Adapter = importlib.import_module("providers.adapters.files").Files(source)
            return adapter
    known = [FILES + name for one in _declarations for name in one.names()]
    raise UnknownProvider(provider, known=known or ["none; `mdc files add` declares one"])


@functools.cache
def _instance(target: str) -> Adapter:
    module_name, _, class_name = target.partition(":")
    adapter = getattr(importlib.import_module(module_name), class_name)()
    if not isinstance(adapter, Adapter):
        raise TypeError(f"{target} is not an Adapter")
    return adapter
