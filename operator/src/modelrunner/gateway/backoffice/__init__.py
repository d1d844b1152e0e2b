"""Everything that clients ask of the gateway itself: lists of models, probes, metrics."""
