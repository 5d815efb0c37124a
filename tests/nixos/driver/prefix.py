# Put before a test script to check its types: the names that the driver gives it. The machines follow, one a line.
from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest import TestCase

from test_driver.machine import BaseMachine, NspawnMachine, QemuMachine

start_all: Callable[[], None]
join_all: Callable[[], None]
subtest: Callable[[str], AbstractContextManager[None]]
machines_qemu: list[QemuMachine]
machines_nspawn: list[NspawnMachine]
serial_stdout_on: Callable[[], None]
serial_stdout_off: Callable[[], None]
t: TestCase
