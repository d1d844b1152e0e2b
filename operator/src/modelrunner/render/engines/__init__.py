"""What each engine's runner is told: one module per engine."""
