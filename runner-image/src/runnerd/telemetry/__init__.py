"""What a runner tells Prometheus: its own families and the engine's, with equal labels."""
