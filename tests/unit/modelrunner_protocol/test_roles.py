"""Which files stand for each other."""

from modelrunner_protocol.roles import by_role, counterparts, names_matter
from modelrunner_protocol.wire import FileKind, WeightsFile


def _file(path: str, kind: FileKind = FileKind.WEIGHTS) -> WeightsFile:
    return WeightsFile(path=path, size_bytes=1, kind=kind)


SHARDS = [_file("a-1.gguf"), _file("a-2.gguf")]
EYES = _file("eyes.gguf", FileKind.PROJECTOR)


def test_names_matter_where_files_name_each_other() -> None:
    """Those of a safetensors model, whichever is looked at."""
    assert not names_matter([*SHARDS, EYES])
    assert names_matter([EYES, _file("m.SafeTensors")])
    assert names_matter([_file("m"), _file("config.json", FileKind.CONFIG)])


def test_files_stand_for_each_other_by_kind_and_order() -> None:
    """However the kinds are mixed; each is told beside its own, in the first one's order."""
    others = [_file("mmproj", FileKind.PROJECTOR), _file("x"), _file("y")]
    assert counterparts([*SHARDS, EYES], others) == [
        (SHARDS[0], others[1]),
        (SHARDS[1], others[2]),
        (EYES, others[0]),
    ]
    assert counterparts(SHARDS, others) is None
    assert counterparts([*SHARDS, EYES, EYES], others) is None


def test_files_stand_for_each_other_by_name() -> None:
    """In any order; another name is another file, and no GGUF model is a safetensors model."""
    one, two = _file("m.safetensors"), _file("config.json", FileKind.CONFIG)
    assert counterparts([one, two], [two, one]) == [(one, one), (two, two)]
    assert counterparts([one], [_file("n.safetensors")]) is None
    assert counterparts([one], [_file("m.gguf")]) is None


def test_a_list_that_was_cut_short_keeps_its_roles() -> None:
    """What is left out is at the end."""
    assert by_role(SHARDS[:1]).items() <= by_role([*SHARDS, EYES]).items()
