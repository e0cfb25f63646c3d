"""`mdc demo`: a backfill, a killed worker and a reconciliation, on real prices, on this machine.

plan        what is fetched, what the simulated providers withhold and where they fail
provider    the simulator behind it, and the accounts that know its limits
home        the stack's own folder, clean for every run
database    lets this process talk to that stack's PostgreSQL
source      the prices as they stand in the shipped file
stored      the prices as mdc exports them
checks      what must be so after each step; a DemoFailed otherwise
strike      kill -9 of the fetch worker in the midst of its work
story       the steps in their order
run         opens the stack, tells the story, leaves nothing running
report      tables for people
"""
