"""Commands that a judge runs, and waiting for what they do."""
import signal
import subprocess
import sys
import time

LISTENERS = ("web", "smtp", "submission", "smtps", "imap", "imaps", "libp2p")


def stop_nodes_on_sigterm():
    """Lets SIGTERM, which `timeout` sends, take the way through `finally`, where the nodes are stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **{"timeout": 60, **options})


def must(*command, **options):
    """The output of a command that must succeed."""
    done = run(*command, **options)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def within(seconds, condition):
    """The first true value of `condition`, or its last one."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.1)


def loopback():
    """Arguments that let a node listen on loopback alone, each listener at a free port."""
    return [word for name in LISTENERS for word in ("--set", f'listen.{name}="127.0.0.1:0"')]
