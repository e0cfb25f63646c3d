"""Ask a provider what one of its symbols is, within the limits of its account."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from ingestion.domain.errors import BadRequest, MdcError
from ingestion.services.add_symbol import Stated
from ingestion.services.fetch_slice import Access
from ingestion.services.permits import NoPermit, PermitDesk
from ingestion.services.slow_down import slow_down
from ingestion.store import instruments, lookups
from ingestion.store.clock import database_now
from ingestion.store.series import ensure_account
from providers.errors import ThrottledError
from providers.reference import find_symbol

# No job: a lookup is bound by the account's budgets alone.
_NO_JOB: Final = 0
_SLOT_PATIENCE: Final = 10.0
_SLOT_POLL: Final = 0.2
_LEASE_BEYOND_DEADLINE: Final = timedelta(seconds=15)


class NoRequestNow(MdcError):
    """Signal that the account allows no request soon; `until` is when one may succeed."""

    def __init__(self, message: str, *, until: datetime | None = None) -> None:
        super().__init__(message)
        self.until = until


def spelling_at(symbol: str, *, provider: str, today: date) -> str:
    """Return how a provider calls a symbol: as mapped for today, as the reference says, or alike.

    Raises BadRequest where the bare symbol may be another instrument there.
    """
    row = instruments.find_instrument(symbol)
    for name in instruments.names_of(row.id) if row else ():
        begun = name.valid_from is None or name.valid_from <= today
        over = name.valid_until is not None and name.valid_until <= today
        if name.provider == provider and begun and not over:
            return name.vendor_symbol
    known = find_symbol(symbol)
    if known is not None and known.is_unspelled_at(provider):
        raise BadRequest(
            f"{provider} has no certain name for {symbol} ({known.listing.name}); say it with --as",
            field="as",
        )
    return known.vendors.get(provider, symbol) if known else symbol


def look_up_symbol(
    vendor_symbol: str, *, access: Access, host: str, pid: int, egress: str = "default"
) -> Stated:
    """Send one request with a permit of the account's and return what the provider states.

    Waits up to some seconds for a free slot and a permit. Raises BadRequest for a provider that
    answers no such question, NoRequestNow, and the ProviderError that an answer means.
    """
    adapter = access.adapter
    request = adapter.build_listing_request(
        vendor_symbol, credentials=access.credentials, base_url=access.base_url
    )
    if request is None:
        raise BadRequest(
            f"{adapter.name} states no facts about symbols; leave --from out", field="from"
        )
    account_id = ensure_account(adapter.name, capabilities=adapter.capabilities, egress=egress)
    _check_open(account_id, provider=adapter.name)
    with ExitStack() as closing:
        deadline = adapter.capabilities.request_deadline + _LEASE_BEYOND_DEADLINE
        executor_id = _take_slot(access, account_id, host=host, pid=pid, lease=deadline)
        closing.callback(lookups.close_lookup, executor_id)
        permits = PermitDesk(account_id)
        closing.callback(permits.close)
        sent_at: datetime | None = None

        def depart() -> None:
            nonlocal sent_at
            permits.wait(PermitDesk.EXPIRED, job_id=_NO_JOB, waited={})
            sent_at = permits.database_time()

        try:
            response = access.edge.send(request, depart=depart)
            listing = adapter.parse_listing(vendor_symbol, response)
        except NoPermit as none:
            raise _not_now(adapter.name, none, account_id=account_id) from none
        except ThrottledError as error:
            slow_down(error, sent_at=sent_at, account_id=account_id)
            raise
    return Stated(provider=adapter.name, vendor_symbol=vendor_symbol, listing=listing)


def _take_slot(access: Access, account_id: int, *, host: str, pid: int, lease: timedelta) -> UUID:
    executor_id, begun = uuid4(), time.monotonic()
    while not lookups.open_lookup(
        account_id=account_id, executor_id=executor_id, host=host, pid=pid, lease=lease
    ):
        if time.monotonic() - begun > _SLOT_PATIENCE:
            raise NoRequestNow(
                f"running jobs use every request that {access.adapter.name} allows at once;"
                " try again when they are done, or pause one (`mdc job list`)"
            )
        threading.Event().wait(_SLOT_POLL)
    return executor_id


def _check_open(account_id: int, *, provider: str) -> None:
    reason = lookups.stopped_because(account_id)
    if reason is not None:
        raise NoRequestNow(
            f"the account at {provider} is stopped until a person acts: {reason or 'see the admin'}"
        )


def _not_now(provider: str, none: NoPermit, *, account_id: int) -> NoRequestNow:
    _check_open(account_id, provider=provider)
    until = database_now() + timedelta(seconds=none.seconds)
    return NoRequestNow(
        f"the limits of {provider} allow no request before {until:%H:%M:%S}Z; try again then",
        until=until,
    )
