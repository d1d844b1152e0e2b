"""`runnerd serve`: a whole Docker Model Runner-compatible server on one machine."""
