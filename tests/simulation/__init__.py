"""The simulator: years of Tocsin in seconds, under a virtual clock, with every fault drawn from one seed.

The real core, judge, worker, runtime, followers, projector and outbox run unchanged on an event loop whose time is
virtual. Only the edges are simulated: the database of journal and log, the channels, the senders, the people, and the
machine that dies. `python -m tests.simulation --seed N` plays one history again, exactly.
"""
