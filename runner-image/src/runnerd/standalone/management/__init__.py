"""Docker Model Runner's own routes, and those by which Ollama's clients manage models."""
