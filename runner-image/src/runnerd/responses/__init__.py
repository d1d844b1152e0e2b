"""OpenAI's Responses over an engine that speaks chat completions: pure translation, both ways.

Source: OpenAI API reference, "Responses", and the types of openai-python; docker/model-runner
`pkg/responses`. No I/O; clocks and randomness come in as arguments.
"""
