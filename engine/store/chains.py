"""Which links of a log were made with which algorithm: one sealed row for every change of it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, insert, select

from engine.chain import PLAIN, Algorithm, Chain, Chains, Position
from engine.store.tables import CHAINS
from schemas.errors import ConfigError

_encode = msgspec.msgpack.Encoder().encode


class ChainFault(ConfigError):
    """The record of the algorithms is not what Tocsin wrote, or this installation's key is another one."""


class Keyring:
    """The algorithm that new links shall be made with, and the key, which is kept outside of the database."""

    def __init__(self, algorithm: Algorithm = "sha256", key: bytes = b"") -> None:
        """Raises ConfigError where the algorithm needs a key and there is none."""
        if algorithm != "sha256" and not key:
            raise ConfigError(f"{algorithm} needs chain_key or chain_key_file", key="store.chain")
        self._keyed = Chain("hmac-sm3", key) if key else None
        self.wanted = PLAIN if algorithm == "sha256" or self._keyed is None else self._keyed

    def chain(self, algorithm: str, key_id: str) -> Chain:
        """The chain of a row; raises ChainFault without its key."""
        if algorithm == PLAIN.algorithm:
            return PLAIN
        if self._keyed is None:
            raise ChainFault(f"the log is chained with {algorithm}: it needs its key {key_id}", key="store.chain_key")
        if (algorithm, key_id) != (self._keyed.algorithm, self._keyed.key_id):
            problem = f"the log is chained with {algorithm} and key {key_id}, the key given is {self._keyed.key_id}"
            raise ChainFault(problem, key="store.chain_key")
        return self._keyed

    def seal(self, content: bytes) -> bytes:
        """What proves that a holder of the key wrote a row."""
        return (self._keyed or PLAIN).digest(b"tocsin chain" + content)


def read_chains(connection: Connection, partition: int, keys: Keyring) -> Chains:
    """The chains of a partition; SHA-256 from the beginning where no other was ever asked for.

    Raises ChainFault for a row that is missing, not sealed with the key, or made with a key that is not given.
    """
    spans: list[tuple[int, Chain]] = [(0, PLAIN)]
    rows = connection.execute(select(CHAINS).where(CHAINS.c.partition == partition).order_by(CHAINS.c.number)).all()
    for number, row in enumerate(rows):
        chain = keys.chain(row.algorithm, row.key_id)
        if row.number != number or row.from_seq < spans[-1][0]:
            raise ChainFault(f"change {number} of the chain's algorithm is missing: rows were removed")
        fields = _fields(partition, number, Position(0, row.from_seq, bytes(row.head)), chain)
        if keys.seal(fields) != bytes(row.seal):
            raise ChainFault(f"change {number} of the chain's algorithm (event {row.from_seq}) was not made by Tocsin")
        spans.append((row.from_seq, chain))
    return Chains(spans)


def settle_chain(connection: Connection, partition: int, keys: Keyring, position: Position) -> Chain:
    """The chain for the next links; records the change where it is another than before."""
    chains = read_chains(connection, partition, keys)
    number = len(chains.spans) - 1
    if chains.spans[-1][1] is not keys.wanted:
        fields = _fields(partition, number, position, keys.wanted)
        row = {
            "partition": partition, "number": number, "from_seq": position.next_seq, "head": position.head,
            "algorithm": keys.wanted.algorithm, "key_id": keys.wanted.key_id, "seal": keys.seal(fields),
        }  # fmt: skip
        connection.execute(insert(CHAINS), row)
    return keys.wanted


def _fields(partition: int, number: int, position: Position, chain: Chain) -> bytes:
    return _encode((partition, number, position.next_seq, position.head, chain.algorithm, chain.key_id))
