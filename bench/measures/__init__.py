"""What is measured: each module has `run(session)`; its figures are named after it.

ingest   alerts over HTTP: rate, CPU per 1,000, p50 and p99, beside Alertmanager and the disk's fsync just then
durable  from the POST to durable at half the maximum rate, beside a bare fsync loop
paging   from the POST to the page at the channel's peer, idle and under load, beside Alertmanager
memory   resident memory with so many active alerts, and after somebody has looked at them, beside Alertmanager
console  the incident list and the API's list with very many active alerts and open incidents
replay   journal to state, log to read models, append, the last beside `eventsourcing`
cold     from the exec of `tocsin serve` on a long past to the first durable answer
disk     bytes per alert and per incident
growth   CPU per alert as active alerts and open incidents grow
rules    CPU per new alert with 10 to 10,000 rules, silences and inhibition rules, beside Alertmanager
cluster  one process beside workers on Kafka: rate, CPU of each part, commands, take-over; Faust beside aiokafka
rivals   Alerta's rates, with --with-peers; what could not be measured, and why
"""

from __future__ import annotations

from collections.abc import Callable

from bench.measures import cluster, cold, console, disk, durable, growth, ingest, memory, paging, replay, rivals, rules
from bench.session import Session

MEASURES: dict[str, Callable[[Session], None]] = {
    "ingest": ingest.run,
    "durable": durable.run,
    "paging": paging.run,
    "memory": memory.run,
    "console": console.run,
    "replay": replay.run,
    "cold": cold.run,
    "disk": disk.run,
    "growth": growth.run,
    "rules": rules.run,
    "cluster": cluster.run,
    "rivals": rivals.run,
}
