"""Requests through a node's control socket, as the command line sends them."""
import json
import os
import socket
import time


def ask(data, request, patience=5):
    """The value of the answer. The socket may take connections a moment after /readyz answers, so this waits up to `patience` seconds
    for it. Raises OSError if nothing answers, ConnectionError with the text of a refusal."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        connect(s, data, time.monotonic() + patience)
        s.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n") and (chunk := s.recv(65536)):
            answer += chunk
    answer = json.loads(answer)
    if "error" in answer:
        raise ConnectionError(answer["error"])
    return answer["value"]


def connect(s, data, end):
    # The folder's path may be too long for a socket address (107 bytes).
    folder = os.open(data, os.O_RDONLY)
    try:
        while True:
            try:
                return s.connect(f"/proc/self/fd/{folder}/control.sock")
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
    finally:
        os.close(folder)
