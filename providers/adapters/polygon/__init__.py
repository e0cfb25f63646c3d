"""Polygon (Massive): /v2/aggs, Bearer key, rows of objects; /v3/reference/tickers."""

from providers.adapters.polygon.adapter import Polygon

__all__ = ["Polygon"]
