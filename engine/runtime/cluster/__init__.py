"""The cluster runtime: Kafka before PostgreSQL, workers that share the partitions, web processes that share the work.

`topic` is the journal's topic; `routing` says which partition a record belongs to; `claims` is who may write a
partition; `decisions` is how the outcome comes back; `runtime` is what the web tier sees; `shift` and `crew` are a
worker's partitions; `faust_source` and `plain_source` bring the records.
"""
