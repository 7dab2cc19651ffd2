"""Deciders: one state machine per file, each `decide(state, command, at) -> events` and `evolve(state, event) -> state`."""
