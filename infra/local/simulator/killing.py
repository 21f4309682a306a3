"""Ends the process that asks: how a function dies in the middle of a call of its model."""

import os
import signal

import psutil


def kill_caller(theirs: int, ours: int) -> None:
    """The process at the other end of a connection between these ports, if it is still there. Its
    own port alone would not do: others may use the same one to talk to somebody else."""
    for connection in psutil.net_connections("tcp4"):
        if not connection.laddr or not connection.raddr:
            continue
        ports = connection.laddr.port, connection.raddr.port
        if ports == (theirs, ours) and connection.pid not in (None, os.getpid()):
            os.kill(connection.pid, signal.SIGKILL)
