"""Find adapters by name; an adapter's module is imported when it is first asked for."""

from __future__ import annotations

import functools
import importlib
from typing import Final

from providers.base import Adapter
from providers.errors import UnknownProvider

ADAPTERS: Final[dict[str, str]] = {
    "polygon": "providers.adapters.polygon:Polygon",
    "synthetic": "providers.adapters.synthetic:Synthetic",
    "yahoo": "providers.adapters.yahoo:Yahoo",
}


def adapter_names() -> list[str]:
    """List the names of all providers, sorted."""
    return sorted(ADAPTERS)


def get_adapter(name: str) -> Adapter:
    """Return the shared instance of an adapter, which holds no state.

    Raises UnknownProvider, which lists what is known.
    """
    cleaned = name.strip().lower()
    if cleaned not in ADAPTERS:
        raise UnknownProvider(name, known=adapter_names())
    return _instance(ADAPTERS[cleaned])


@functools.cache
def _instance(target: str) -> Adapter:
    module_name, _, class_name = target.partition(":")
    adapter = getattr(importlib.import_module(module_name), class_name)()
    if not isinstance(adapter, Adapter):
        raise TypeError(f"{target} is not an Adapter")
    return adapter
