"""The generic control loop: work queue, resync, results. It knows neither Kubernetes nor our kinds."""
