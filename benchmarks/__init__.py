"""Benchmarks of the whole machine and its parts: `python -m benchmarks [names...]`."""
