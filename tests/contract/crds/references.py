"""Words that are no reference of an artifact, for the schema to refuse."""

NO_REFERENCES = (
    "",
    " ",
    "https://registry.example.com/a",
    "user:password@host/a",
    "a/../b",
    "a//b",
    "/a",
    "a/",
    "a:",
    "a@sha256:abc",
    "a b",
    "{{ model.name }}",
    "sha256:" + "a" * 64,
    "a" * 64,
    "host:port/a",
)
