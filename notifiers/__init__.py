"""Who is told, and how it is delivered: channels, templates, the outbox worker."""
