"""A webhook: the notice as JSON, for programs of your own."""
