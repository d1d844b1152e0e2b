"""Weights in a repository of the Hugging Face Hub, or of a server that speaks its language."""
