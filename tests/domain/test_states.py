"""The transition table is complete, and settling only ever takes its ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.states import (
    TRANSITIONS,
    Desired,
    ForbiddenTransition,
    JobState,
    Outcome,
    Settlement,
    SliceCounts,
    SliceState,
    check_transition,
    next_state,
)

few = st.integers(0, 2)
counts = st.builds(SliceCounts, ready=few, leased=few, done=few, dead=few)


def test_every_state_has_its_row() -> None:
    """A state without a row would raise KeyError instead of a clear error."""
    assert set(TRANSITIONS) == set(JobState)


def test_final_and_open_states_agree_with_the_table() -> None:
    """Only a replay leaves a final job state; what is ready or leased is open."""
    for state in JobState:
        if state.is_final:
            assert TRANSITIONS[state] <= {JobState.QUEUED}
    for slice_state in SliceState:
        assert slice_state.is_open == (slice_state in {SliceState.READY, SliceState.LEASED})


def test_a_forbidden_move_names_what_is_allowed() -> None:
    """The error carries both states and the ways that exist."""
    with pytest.raises(ForbiddenTransition, match="draft leads to cancelled, queued") as caught:
        check_transition(JobState.DRAFT, JobState.RUNNING)
    assert (caught.value.old, caught.value.new) == (JobState.DRAFT, JobState.RUNNING)
    with pytest.raises(ForbiddenTransition, match="it is final"):
        check_transition(JobState.CANCELLED, JobState.QUEUED)
    check_transition(JobState.RUNNING, JobState.PAUSED)


@given(st.sampled_from(JobState), st.sampled_from(Desired), st.booleans(), counts)
def test_settling_takes_only_ways_of_the_table(
    state: JobState, desired: Desired, planned: bool, slices: SliceCounts
) -> None:
    """Whatever the slices look like, the answer is the state itself or a permitted one."""
    settled = next_state(state=state, desired=desired, planned=planned, slices=slices)
    if settled.state is not state:
        check_transition(state, settled.state)
    assert (settled.outcome is not None) == (settled.state is JobState.COMPLETED)


@given(
    st.sampled_from([JobState.QUEUED, JobState.RUNNING]),
    st.sampled_from(Desired),
    st.booleans(),
    counts,
)
def test_a_job_with_leases_is_never_paused_cancelled_or_finished(
    state: JobState, desired: Desired, planned: bool, slices: SliceCounts
) -> None:
    """Paused and cancelled jobs hold no lease, and open work never counts as finished."""
    settled = next_state(state=state, desired=desired, planned=planned, slices=slices)
    if slices.leased:
        assert settled.state in {JobState.QUEUED, JobState.RUNNING}
    if slices.open or not planned:
        assert settled.state not in {JobState.COMPLETED, JobState.FAILED}


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        (SliceCounts(done=3), Settlement(JobState.COMPLETED, Outcome.COMPLETE)),
        (SliceCounts(), Settlement(JobState.COMPLETED, Outcome.COMPLETE)),
        (SliceCounts(done=3, dead=1), Settlement(JobState.COMPLETED, Outcome.PARTIAL)),
        (SliceCounts(dead=4), Settlement(JobState.FAILED)),
        (SliceCounts(done=3, ready=1), Settlement(JobState.RUNNING)),
    ],
)
def test_a_planned_job_ends_as_its_slices_did(slices: SliceCounts, expected: Settlement) -> None:
    """All done is complete, some dead is partial, all dead is failed."""
    for desired in (Desired.RUN, Desired.PAUSE):
        if slices.open and desired is Desired.PAUSE:
            continue
        settled = next_state(state=JobState.RUNNING, desired=desired, planned=True, slices=slices)
        assert settled == expected


def test_resuming_goes_back_to_where_the_job_was() -> None:
    """A job paused before its first slice queues again; a planned one runs."""
    for slices, expected in (
        (SliceCounts(), JobState.QUEUED),
        (SliceCounts(ready=1), JobState.RUNNING),
    ):
        settled = next_state(
            state=JobState.PAUSED, desired=Desired.RUN, planned=False, slices=slices
        )
        assert settled.state is expected
