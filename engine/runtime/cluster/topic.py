"""The journal's topic: made, examined and measured with kafka-python."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError

from schemas.clusters import Cluster
from schemas.errors import ConfigError, StoreUnavailable

REQUEST_TIMEOUT_MS = 15_000


class TopicState(msgspec.Struct, frozen=True):
    """The topic as the brokers have it: its id, its partitions with their replicas, and its settings."""

    id: str
    partitions: tuple[int, ...]
    fewest_replicas: int
    without_leader: tuple[int, ...]
    settings: Mapping[str, str]


def wanted_settings(cluster: Cluster) -> dict[str, str]:
    """The settings that the journal needs; anything else may lose or change records."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(cluster.retention_h * 3_600_000),
        "retention.bytes": "-1",
        "min.insync.replicas": str(cluster.min_insync),
        "unclean.leader.election.enable": "false",
        "max.message.bytes": str(cluster.max_record_bytes + 65_536),
        "message.timestamp.type": "CreateTime",
        "compression.type": "producer",
    }


def tls_context(cluster: Cluster) -> ssl.SSLContext | None:
    """How to speak TLS with the brokers, None where that is not configured."""
    if not cluster.security.endswith("ssl"):
        return None
    context = ssl.create_default_context(cafile=str(cluster.ca) if cluster.ca else None)
    if cluster.certificate and cluster.private_key:
        context.load_cert_chain(str(cluster.certificate), str(cluster.private_key))
    return context


def client_settings(cluster: Cluster) -> dict[str, Any]:
    """Bootstrap servers and security, in the words that kafka-python and aiokafka share."""
    settings: dict[str, Any] = {
        "bootstrap_servers": list(cluster.bootstrap_servers),
        "security_protocol": cluster.security.upper(),
        "ssl_context": tls_context(cluster),
    }
    if cluster.security.startswith("sasl"):
        settings["sasl_mechanism"] = cluster.sasl_mechanism
        settings["sasl_plain_username"] = cluster.username
        settings["sasl_plain_password"] = cluster.password.get_secret_value() if cluster.password else ""
    return settings


@contextmanager
def admin(cluster: Cluster) -> Iterator[KafkaAdminClient]:
    """A client for administration; every error of the brokers becomes StoreUnavailable."""
    servers = ", ".join(cluster.bootstrap_servers)
    try:
        client = KafkaAdminClient(request_timeout_ms=REQUEST_TIMEOUT_MS, **client_settings(cluster))
    except (KafkaError, OSError, ValueError) as unreachable:
        raise StoreUnavailable(f"no Kafka broker answers at {servers}: {unreachable}") from unreachable
    try:
        yield client
    except (KafkaError, OSError) as refused:
        raise StoreUnavailable(f"Kafka at {servers}: {refused}") from refused
    finally:
        client.close()


def make_topic(cluster: Cluster) -> bool:
    """Make the topic as configured; False where there was one already, which is left as it is."""
    with admin(cluster) as client:
        new = NewTopic(cluster.topic, cluster.partitions, cluster.replication, topic_configs=wanted_settings(cluster))
        try:
            client.create_topics([new], wait_for_metadata=True)
        except TopicAlreadyExistsError:
            return False
        return True


def read_topic(cluster: Cluster) -> TopicState:
    """The topic as it is. Raises ConfigError where there is none."""
    with admin(cluster) as client:
        (found,) = client.describe_topics([cluster.topic])
        if found["error_code"]:
            problem = f"there is no topic {cluster.topic}: `tocsin cluster init` makes it"
            raise ConfigError(problem, key="cluster.topic")
        resource = ConfigResource(ConfigResourceType.TOPIC, cluster.topic, dict.fromkeys(wanted_settings(cluster), ""))
        described = client.describe_configs([resource], config_filter="all")
    (settings,) = (named for by_type in described.values() for named in by_type.values())
    parts = found["partitions"]
    return TopicState(
        id=str(found["topic_id"]),
        partitions=tuple(sorted(part["partition_index"] for part in parts)),
        fewest_replicas=min(len(part["replica_nodes"]) for part in parts),
        without_leader=tuple(sorted(part["partition_index"] for part in parts if part["leader_id"] < 0)),
        settings={name: str(each["value"]) for name, each in settings.items()},
    )


def correct_settings(cluster: Cluster) -> None:
    """Give an existing topic the settings that the journal needs."""
    with admin(cluster) as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, cluster.topic, wanted_settings(cluster))])


def faults_of(topic: TopicState, cluster: Cluster) -> list[str]:
    """What is wrong with the topic, in words that name the setting; empty where all is well."""
    faults = []
    if topic.partitions != tuple(range(cluster.partitions)):
        found = len(topic.partitions)
        faults.append(f"it has {found} partitions, cluster.partitions says {cluster.partitions}")
    if topic.fewest_replicas < cluster.replication:
        faults.append(
            f"a partition has {topic.fewest_replicas} replicas, cluster.replication says {cluster.replication}"
        )
    if topic.without_leader:
        faults.append(f"partitions {topic.without_leader} have no leader: nothing can be written there")
    for name, wanted in wanted_settings(cluster).items():
        found_value = topic.settings.get(name, "?")
        if found_value != wanted:
            faults.append(f"{name} is {found_value}, the journal needs {wanted}")
    return faults


def ends_of(cluster: Cluster) -> dict[int, tuple[int, int]]:
    """The first offset that each partition still has, and the next one that it will give."""
    topic = cluster.topic
    with admin(cluster) as client:
        places = [TopicPartition(topic, number) for number in range(cluster.partitions)]
        first = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
        behind = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
        return {place.partition: (first[place].offset, behind[place].offset) for place in places}
