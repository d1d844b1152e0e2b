"""What the gateway's benchmarks read out of texts."""

from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.perf.bench_gateway_memory import total
from tests.perf.bench_gateway_ports import towards
from tests.perf.bench_gateway_wake import engine_socket

_TCP = """\
   0: 0100007F:9C40 0A0112C6:1F90 01 00000000:00000000 00:00000000 00000000 0 0 1
   1: 0100007F:9C41 0A0112C6:1F90 06 00000000:00000000 03:00000000 00000000 0 0 0
   2: 0100007F:9C42 0A0112C6:1F91 06 00000000:00000000 03:00000000 00000000 0 0 0
   3: 0A0112C6:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000 0 0 2
"""


def test_sockets_towards_an_address_are_counted_by_state() -> None:
    """Only the clients' ends, and only those of that port: 198.18.1.10:8080."""
    assert towards(("198.18.1.10", 8080), _TCP.splitlines()) == {"open": 1, "time wait": 1}


def test_a_gauge_is_the_sum_of_its_series() -> None:
    """Other families whose names begin alike do not count."""
    text = 'x_held{model="a"} 2.0\nx_held{model="b"} 3\nx_held_bytes{model="a"} 9\n# x_held{} 4\n'
    assert total(text, "x_held") == 5


def test_the_engine_of_a_pod_is_found_by_its_control_group(tmp_path: Path) -> None:
    """Both ways in which the kubelet writes a pod's id into its name."""
    for pid, group, socket in (
        (11, "0::/kubepods/podaa-bb/x", "/run/engine-1.sock"),
        (12, "0::/kubepods.slice/kubepods-podcc_dd.slice/x", "/run/engine-2.sock"),
    ):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "cgroup").write_text(group, "utf-8")
        (folder / "cmdline").write_text(f"llama-server\0--host\0{socket}\0", "utf-8")
    assert engine_socket("aa-bb", tmp_path) == tmp_path / "11/root/run/engine-1.sock"
    assert engine_socket("cc-dd", tmp_path) == tmp_path / "12/root/run/engine-2.sock"
    with pytest.raises(ClusterError, match="not seen here"):
        engine_socket("ee-ff", tmp_path)
