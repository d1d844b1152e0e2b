"""Where clients put their key."""

from modelrunner.gateway.messages import Headers


def presented_key(headers: Headers) -> bytes | None:
    """What a client presents as its key; None when it presents none.

    `Authorization: Bearer` (OpenAI), else `x-api-key` (Anthropic), else `api-key` (Azure).
    """
    anthropic = azure = None
    for name, value in headers:
        if name == b"authorization":
            if value[:7].lower() == b"bearer " and (key := value[7:].strip()):
                return key
        elif name == b"x-api-key":
            anthropic = anthropic or value
        elif name == b"api-key":
            azure = azure or value
    return anthropic or azure or None
