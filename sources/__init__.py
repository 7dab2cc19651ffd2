"""How alerts get in: receivers that parse what is pushed, pollers that fetch."""
