"""What is a duplicate, noise, related, anomalous: pure, streaming, deterministic."""
