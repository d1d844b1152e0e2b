"""Who may ask, for which models, and how much: API keys and limits.

A key is known by its SHA-256 only, held in a labelled Secret of the gateway's namespace:

    KeyFeed ── Secrets ──▶ KeyRing ◀── find(presented_key(headers)) ── routing
                                                                          │
    Limits ◀── enter, leave ──────────────────────────────────────────────┘

Nothing here writes a key, or any part of one, to a log: a key's name is its Secret's.
"""
