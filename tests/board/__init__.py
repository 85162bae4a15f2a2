"""Boards for tests: a real sshd on loopback whose sessions run in an empty home, with faults on demand.

`native_board` runs this machine's Python (under a second to start), `emulated_board` an arm64 root under
QEMU's user mode (bare: Python alone). By hand: `python -m tests.board --help`.
"""
