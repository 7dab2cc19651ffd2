"""What a table knows of an alert: its service's module, organisation, owner, tier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.alert_rules import Table


class Enrichment:
    """Several tables by their keys. A look-up is one dictionary access per table."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = [
            (table.by, {tuple(row[name] for name in table.by): _added(row, table) for row in table.rows})
            for table in tables
        ]

    def __bool__(self) -> bool:
        return bool(self._tables)

    def enriched(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels with what the tables add; those that were there keep their values. The same object if nothing is.

        Later tables see what earlier ones have added.
        """
        found = labels
        for by, rows in self._tables:
            row = rows.get(tuple([found.get(name, "") for name in by]))
            if row:
                found = {**row, **found}
        return found


def _added(row: Mapping[str, str], table: Table) -> dict[str, str]:
    wanted = table.adds or tuple(name for name in row if name not in table.by)
    return {name: row[name] for name in wanted if row.get(name)}
