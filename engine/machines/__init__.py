"""Deciders: one state machine per file, `decide` to get events and `evolve` to get the next state."""
