"""What every kind of target is: a schema for its settings, a guarantee, and `deliver`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec

from ingestion.domain.delivery import Batch
from ingestion.domain.errors import BadRequest, DeliveryFailed

# A delivery ends within this time or fails; the lease on the target lasts longer.
DELIVERY_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Hold what a sink is given: its target's name and settings, and what must not be stored.

    `address` and `secret` come from MDC_TARGET_<NAME>_URL and _SECRET, '' where unset;
    `broker` is the address of MDC's own broker.
    """

    name: str
    config: Mapping[str, Any]
    address: str = ""
    secret: str = ""
    broker: str = ""

    def variable(self, suffix: str) -> str:
        """Name the environment variable of this target, for messages."""
        return variable_name(self.name, suffix)


def variable_name(target: str, suffix: str) -> str:
    """Return the environment variable that belongs to a target, such as MDC_TARGET_MY_LAKE_URL."""
    return f"MDC_TARGET_{target.upper().replace('-', '_')}_{suffix}"


class Sink(ABC):
    """Deliver batches to one target. What returns from `deliver` has arrived.

    `Config` is the schema of the target's settings, `GUARANTEE` one sentence that says what a
    delivery is worth here.
    """

    KIND: ClassVar[str]
    GUARANTEE: ClassVar[str]
    Config: ClassVar[type[msgspec.Struct]]

    @abstractmethod
    def __init__(self, around: Surroundings) -> None:
        """Read the settings; raises DeliveryFailed where something is missing."""

    @abstractmethod
    def deliver(self, batch: Batch) -> None:
        """Deliver a batch, which may have no parts, or raise DeliveryFailed.

        Ends within DELIVERY_SECONDS. The same batch may come again, under the same key.
        """

    @classmethod
    def check(cls, config: Mapping[str, Any], *, name: str) -> dict[str, Any]:
        """Return the settings as they are to be stored; raises BadRequest where they are wrong."""
        try:
            read = msgspec.convert(config, cls.Config)
        except msgspec.ValidationError as error:
            raise BadRequest(
                f"a {cls.KIND} target cannot be set up: {error}", field="config"
            ) from None
        cls.check_world(read, name=name)
        plain: dict[str, Any] = msgspec.to_builtins(read)
        return plain

    @classmethod
    @abstractmethod
    def check_world(cls, config: Any, *, name: str) -> None:
        """Refuse settings that cannot work on this machine."""


class Deadline:
    """Tell a delivery of several steps when its time is over."""

    def __init__(self, *, target: str, seconds: float = DELIVERY_SECONDS) -> None:
        self._target = target
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise DeliveryFailed once time is up."""
        if not self.left:
            raise DeliveryFailed(
                f"a batch took longer than {self._seconds:g} s; choose a smaller one with "
                f"`mdc target resize {self._target} --batch-size N`"
            )
