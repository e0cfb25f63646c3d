"""What the pages need before each request."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from ingestion.services.refresh_calendars import refresh_calendars


def fresh_calendars(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Let a page see the sessions as they are declared now."""

    def handle(request: HttpRequest) -> HttpResponseBase:
        refresh_calendars()
        return get_response(request)

    return handle
