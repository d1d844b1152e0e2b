"""What users write: the two custom resources, their schema and their manifests. No I/O."""
