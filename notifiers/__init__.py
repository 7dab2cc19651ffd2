"""Who is told, and how it is delivered: one directory per channel, their templates, and the outbox worker."""
