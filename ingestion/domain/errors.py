"""Everything that mdc itself refuses, as one tree beside the providers' errors.

MdcError
├── BadRequest            the request cannot be meant: reversed window, future start, empty list
│   ├── BadRule           the rule of a schedule cannot be meant
│   └── BadOverride       what is declared of a session does not fit its calendar
├── CalendarEnds          a venue's calendar does not reach as far as was asked
├── UnknownJob            no job has this number
├── UnknownSeries         nothing is stored or planned under this name
├── JobNotReplayable      the job has no dead slice to try again
├── JobEnded              the job has ended, and what is asked of it concerns what is to come
├── UnknownTarget         no target has this name
├── UnknownDefinition     no definition has this name
├── UnknownSchedule       no schedule has this name
├── UnknownFinding        no finding has this number
├── FindingRefused        what is asked of a finding does not fit where it stands
├── DeliveryFailed        a target could not be reached or refused a batch; nothing is lost
└── StoreError            PostgreSQL refused or is out of reach
    ├── StoreUnavailable
    └── StoreFull         the disk or a quota is full
"""

from __future__ import annotations

from datetime import date


class MdcError(Exception):
    """Carry one sentence that says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(MdcError):
    """Signal a request that cannot be meant; `field` names the part that is wrong."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class BadRule(BadRequest):
    """Signal a rule that cannot be meant; the message names what is understood."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="rule")


class BadOverride(BadRequest):
    """Signal a statement about a session that does not fit the venue's calendar."""

    def __init__(self, message: str, *, venue: str, session: date, field: str = "session") -> None:
        super().__init__(f"{venue} {session}: {message}", field=field)
        self.venue = venue
        self.session = session


class CalendarEnds(MdcError):
    """Signal that what is asked lies beyond the last session that a venue's calendar knows."""

    def __init__(self, venue: str, last_session: date | None) -> None:
        known = "it has none" if last_session is None else f"the last is {last_session}"
        super().__init__(
            f"the calendar of {venue} knows no session so far ahead ({known}); "
            "a newer exchange_calendars brings more"
        )
        self.venue = venue
        self.last_session = last_session


class UnknownJob(MdcError):
    """Signal a job number that does not exist."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"there is no job {job_id}; `mdc job list` shows the jobs that exist")
        self.job_id = job_id


class UnknownSeries(MdcError):
    """Signal a symbol and timeframe of which nothing is known."""

    def __init__(self, symbol: str, timeframe: str) -> None:
        super().__init__(
            f"nothing is known of {symbol} at {timeframe}; `mdc backfill --symbols {symbol} "
            f"--timeframe {timeframe} ...` fetches it"
        )
        self.symbol = symbol
        self.timeframe = timeframe


class JobNotReplayable(MdcError):
    """Signal that a job has nothing to try again."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"job {job_id} has no failed slices to try again")
        self.job_id = job_id


class JobEnded(MdcError):
    """Signal that a job has ended before what was asked of it."""

    def __init__(self, job_id: int, *, state: str, what: str) -> None:
        super().__init__(f"job {job_id} is {state}; {what}")
        self.job_id = job_id
        self.state = state


class UnknownTarget(MdcError):
    """Signal a target name that nobody declared."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no target named {name!r}; `mdc target list` shows those that exist"
        )
        self.name = name


class UnknownDefinition(MdcError):
    """Signal a definition name that nobody declared."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no definition named {name!r}; `mdc definition list` shows those that exist"
        )
        self.name = name


class UnknownSchedule(MdcError):
    """Signal a schedule name that nobody declared."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no schedule named {name!r}; `mdc schedule list` shows those that exist"
        )
        self.name = name


class UnknownFinding(MdcError):
    """Signal a finding number that does not exist."""

    def __init__(self, finding_id: int) -> None:
        super().__init__(
            f"there is no finding {finding_id}; `mdc findings list --all` shows those that exist"
        )
        self.finding_id = finding_id


class FindingRefused(MdcError):
    """Signal that what is asked of a finding does not fit what it is or where it stands."""

    def __init__(self, finding_id: int, why: str) -> None:
        super().__init__(f"finding {finding_id} stays as it is: {why}")
        self.finding_id = finding_id


class DeliveryFailed(MdcError):
    """Signal a batch that did not arrive; it stays noted and is delivered later.

    `retry_after` is what the receiver asks for, in seconds. `permanent` means that the same batch
    will be refused again until a person acts: the target stops.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, permanent: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.permanent = permanent


class StoreError(MdcError):
    """Signal that PostgreSQL could not do its part."""


class StoreUnavailable(StoreError):
    """Signal that PostgreSQL cannot be reached."""

    def __init__(self) -> None:
        super().__init__(
            "PostgreSQL cannot be reached; start the stack with `mdc up`, or check MDC_DATABASE_URL"
        )


class StoreFull(StoreError):
    """Signal that PostgreSQL has no room left."""

    def __init__(self) -> None:
        super().__init__(
            "PostgreSQL has no disk space left; free some,"
            " and the waiting slices go on by themselves"
        )
