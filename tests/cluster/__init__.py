"""The cluster: real Kafka, real PostgreSQL, real processes; what is the same as in one process, and what faults do."""
