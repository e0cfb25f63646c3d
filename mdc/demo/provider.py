"""The simulated providers of the demo, and the accounts that know their limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ingestion.store.series import ensure_account
from mdc.demo.plan import POLYGON_KEY, PROVIDERS, YAHOO, DemoPlan
from providers.registry import get_adapter

# Settings of the user's that would change what the demo's workers do.
_UNSET = (
    "MDC_DATABASE_URL_FILE",
    "MDC_BROKER_URL_FILE",
    "MDC_MINIMUM_BARS",
    "MDC_MAX_BAD_PERCENT",
    "MDC_CRASH_POINTS",
)


def simulator_config(plan: DemoPlan) -> dict[str, Any]:
    """Return the simulator's start-up configuration.

    Its limiter counts every arrival, refused ones too: an exact judge of our pacing.
    """
    limits = [{"n": plan.limit.n, "window": plan.limit.window.total_seconds()}]
    latencies = [
        {"name": f"{provider} latency", "kind": "latency", "provider": provider, "seconds": seconds}
        for provider, seconds in plan.latency.items()
    ]
    return {
        "polygon": {"keys": [POLYGON_KEY]},
        "limits": {name: {"limits": limits, "mode": "reject"} for name in PROVIDERS},
        "faults": [*latencies, *plan.faults, *_withheld(plan)],
    }


def withheld_rules(plan: DemoPlan) -> list[str]:
    """Name the simulator's rules that withhold sessions."""
    return [rule["name"] for rule in _withheld(plan)]


def _withheld(plan: DemoPlan) -> list[dict[str, Any]]:
    return [
        {
            "name": f"withheld {symbol}",
            "kind": "withhold",
            "provider": YAHOO,
            "symbol": symbol,
            "dates": [day.isoformat() for day in days],
        }
        for symbol, days in plan.withheld.items()
    ]


def worker_environment(base_url: str, *, processes: int) -> dict[str, str]:
    """Return the environment in which workers reach the simulator and nobody else."""
    return {
        "MDC_PROVIDER_YAHOO_BASE_URL": base_url,
        "MDC_PROVIDER_POLYGON_BASE_URL": base_url,
        "MDC_PROVIDER_POLYGON_KEY": POLYGON_KEY,
        "MDC_FETCH_PROCESSES": str(processes),
        **dict.fromkeys(_UNSET, ""),
    }


def open_accounts(plan: DemoPlan) -> None:
    """Make the accounts with the simulator's limits, as an operator enters a paid plan's.

    Left alone, mdc would keep to what the adapters declare: five requests a minute at polygon.
    """
    for provider in PROVIDERS:
        capabilities = replace(
            get_adapter(provider).capabilities,
            rate_limits=(plan.limit,),
            max_in_flight=plan.in_flight,
        )
        ensure_account(provider, capabilities=capabilities, egress="default")
