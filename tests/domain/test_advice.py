"""Every class of failure comes with something that a person can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingestion.domain.advice import advice_for
from providers.errors import ProviderError


def tree(kind: type[ProviderError]) -> Iterator[type[ProviderError]]:
    """Walk the providers' errors, the root left out."""
    for below in kind.__subclasses__():
        if below.__module__ == "providers.errors":
            yield below
            yield from tree(below)


@pytest.mark.parametrize("name", sorted(kind.__name__ for kind in tree(ProviderError)))
def test_every_provider_error_has_advice_of_its_own(name: str) -> None:
    """A class added to the tree without advice fails here."""
    assert advice_for(name) != advice_for("NeverHeardOf")


def test_what_is_unknown_is_to_be_reported() -> None:
    """An error that mdc does not know is a fault of mdc's."""
    assert "report" in advice_for("ZeroDivisionError")
