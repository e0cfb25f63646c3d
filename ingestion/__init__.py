"""The Django app that plans, fetches, judges and stores market data."""

__version__ = "0.1.0"
