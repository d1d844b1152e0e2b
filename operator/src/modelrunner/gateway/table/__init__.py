"""The route table: which models there are, what they are doing and where they answer."""
