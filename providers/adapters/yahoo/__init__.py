"""Yahoo Finance: /v8/finance/chart, no key, columnar JSON."""

from providers.adapters.yahoo.adapter import Yahoo

__all__ = ["Yahoo"]
