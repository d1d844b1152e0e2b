"""The one node: a process tree in a network, mount, pid, uts and ipc namespace of its own."""
