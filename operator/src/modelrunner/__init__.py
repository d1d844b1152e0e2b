"""The operator: from Model and ModelRunner to running, cached, observed language models."""
