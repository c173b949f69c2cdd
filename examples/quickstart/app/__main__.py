"""Serve on a free port, ask ourselves for the page once, and print what came back."""

import importlib.metadata
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import uvicorn

from app import service


def main() -> None:
    if "--check" in sys.argv:
        print("the app imports")
        return
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(service, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
        print(page.read().decode())
    server.should_exit = True
    thread.join()
    versions = {name: importlib.metadata.version(name) for name in ("fastapi", "uvicorn")}
    git = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True)
    print(f"Python {sys.version.split()[0]}, {versions}, {git.stdout.strip()}")


if __name__ == "__main__":
    main()
