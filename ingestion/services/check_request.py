"""Refuse a request that cannot be meant, naming the field that is wrong."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import assert_never

from ingestion.domain.errors import BadRequest
from ingestion.domain.retry import RETRY_CLASSES
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind, Workload
from ingestion.domain.symbols import check_symbols
from ingestion.store.retry_classes import is_user_defined
from ingestion.store.targets import read_target

_SECONDS_PER_DAY = 86400
_MOST_REQUESTS = 1_000_000
_SHORTEST_WINDOW = timedelta(milliseconds=1)
_LONGEST_LOOKBACK = timedelta(days=36_525)


def check_request(request: JobRequest, *, now: datetime) -> None:
    """Raise BadRequest for what is wrong in itself, whatever provider and calendars say.

    Raises UnknownTarget as well.
    """
    _check_names(request)
    _check_numbers(request)
    for target in request.targets or ():
        read_target(target)
    _check_start(request, now=now)
    match request.workload:
        case Workload.HISTORICAL:
            _check_end(request, now=now)
        case Workload.REALTIME:
            if not request.poll_seconds or request.poll_seconds < 1:
                raise BadRequest("say how often to ask, at least every second", field="poll")
            if request.poll_seconds > _SECONDS_PER_DAY:
                raise BadRequest("ask at least once a day", field="poll")
        case _:
            assert_never(request.workload)


def _check_start(request: JobRequest, *, now: datetime) -> None:
    if request.start is None:
        if request.kind is not JobKind.UPDATE or request.workload is not Workload.HISTORICAL:
            raise BadRequest("say from when on; only an update knows by itself", field="start")
        if not timedelta(0) < request.lookback <= _LONGEST_LOOKBACK:
            raise BadRequest("a lookback is at least a day and at most 100 years", field="lookback")
    elif request.start >= now:
        raise BadRequest(
            f"the start {request.start:%Y-%m-%d} lies in the future; give a past date",
            field="start",
        )


def _check_names(request: JobRequest) -> None:
    check_symbols(request.symbols)
    if not request.timeframes:
        raise BadRequest("name at least one timeframe, such as --timeframe 1d", field="timeframes")
    if len(set(request.timeframes)) != len(request.timeframes):
        raise BadRequest("a timeframe is named twice; name each one once", field="timeframes")
    if request.request_key is not None and not 1 <= len(request.request_key) <= 128:
        raise BadRequest("a request key has 1 to 128 characters", field="request_key")


def _check_numbers(request: JobRequest) -> None:
    if request.priority is not None and not 0 <= request.priority <= 255:
        raise BadRequest("a priority is a number from 0 to 255", field="priority")
    for field in ("tries", "max_concurrency", "slices_per_round"):
        value = getattr(request, field)
        if value is not None and not 1 <= value <= 1000:
            raise BadRequest(f"{field.replace('_', ' ')} is a number from 1 to 1000", field=field)
    if request.slice_span is not None and request.slice_span <= timedelta(0):
        raise BadRequest("a slice span must be positive", field="slice_span")
    delay = request.retry_delay
    if delay is not None and not (math.isfinite(delay) and 0 <= delay <= _SECONDS_PER_DAY):
        raise BadRequest("a retry delay is 0 to 86400 seconds", field="retry_delay")
    limit = request.rate_limit
    if limit and not (1 <= limit.n <= _MOST_REQUESTS and limit.window >= _SHORTEST_WINDOW):
        raise BadRequest("a rate limit is a number of requests, such as 5/min", field="rate_limit")
    _check_retry_class(request.retry_class)


def _check_retry_class(name: str) -> None:
    if name not in RETRY_CLASSES and not is_user_defined(name):
        raise BadRequest(
            f"unknown retry class {name!r}; use {', '.join(sorted(RETRY_CLASSES))}"
            " or define it in the admin",
            field="retry_class",
        )


def _check_end(request: JobRequest, *, now: datetime) -> None:
    if request.poll_seconds is not None:
        raise BadRequest("historical work is not polled; ask for realtime work", field="poll")
    if request.end is None:
        if request.kind is JobKind.UPDATE:
            return
        raise BadRequest("historical work needs an end date", field="end")
    if request.start is not None and request.end <= request.start:
        raise BadRequest(
            f"the end {request.end:%Y-%m-%d} does not lie after the start"
            f" {request.start:%Y-%m-%d}; swap them",
            field="end",
        )
    # An inclusive end date of today means the midnight that follows.
    if request.end > now + timedelta(days=1):
        raise BadRequest(
            f"the end {request.end:%Y-%m-%d} lies in the future; leave it out to fetch until now",
            field="end",
        )
