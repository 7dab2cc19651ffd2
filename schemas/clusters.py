"""The cluster of `tocsin.yaml`: the topic of the journal, how it is reached, and how long a worker may be silent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from schemas.sections import Name, WithSecrets

Seconds = Annotated[int, Field(ge=1, le=600)]


class Cluster(WithSecrets):
    """Kafka before PostgreSQL: with this section `tocsin serve` is one of any number of web processes, and the
    decisions are those of `tocsin worker`. Every process of a cluster has the same section."""

    bootstrap_servers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Brokers to begin with, ``HOST:PORT`` each."""
    topic: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")] = "tocsin.journal"
    """The journal's topic; `tocsin cluster init` makes it."""
    group: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")] = "tocsin-workers"
    """The consumer group of the workers. Its offsets are a hint only: the place in the database counts."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 12
    """Of the topic; the most workers that can share the work. Changing it later is a procedure: docs/cluster.md."""
    replication: Annotated[int, Field(ge=1, le=7)] = 3
    """Brokers that keep each record."""
    min_insync: Annotated[int, Field(ge=1, le=7)] = 2
    """Brokers that must have a record before its sender is answered."""
    retention_h: Annotated[int, Field(ge=1)] = 24 * 30
    """How long the topic keeps records: the oldest database backup that can be brought up to date from it."""
    max_record_bytes: Annotated[int, Field(ge=65_536)] = 6 * 1024 * 1024
    """The largest record. `server.max_body_bytes` and its envelope must fit."""
    session_timeout_s: Seconds = 10
    """A worker that is silent for so long loses its partitions to another."""
    decision_wait_s: Seconds = 10
    """How long a command waits for its decision before it is answered as accepted and not yet decided (202)."""
    worker: Name | None = None
    """The name of this process in `tocsin cluster status`; by default made of the host's name and the process id."""
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """How the brokers are reached."""
    ca: Path | None = None
    """Certificates that vouch for the brokers (PEM); by default those of the system."""
    certificate: Path | None = None
    """The certificate that this client shows (PEM), with `private_key`."""
    private_key: Path | None = None
    """The key of `certificate` (PEM)."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How to sign in, where `security` begins with ``sasl``."""
    username: str = ""
    """Who signs in."""
    password: SecretStr | None = None
    """The password for it."""
    password_file: Path | None = None

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        if self.min_insync > self.replication:
            raise ValueError(f"min_insync: {self.min_insync} brokers cannot have what {self.replication} keep")
        if self.security.startswith("sasl") and not (self.username and (self.password or self.password_file)):
            raise ValueError(f"username: {self.security} needs username and password (or password_file)")
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate: give it together with private_key")
        return self
