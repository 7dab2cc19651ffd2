"""The demo: a faulty shop, watched by a real Prometheus and Alertmanager, whose alerts Tocsin turns into incidents."""
