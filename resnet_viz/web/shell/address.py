"""The address at which a classroom reaches this machine: ``python -m resnet_viz.web.shell.address PORT`` prints it with a QR code."""

import socket
import sys

import segno


def own_address() -> str:
    """This machine's address in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address set aside for documents: the system only chooses its own end
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def tell_address(port: int) -> None:
    """Print the address and its QR code."""
    address = f"http://{own_address()}:{port}"
    print(f"Open in the classroom: {address}", flush=True)
    segno.make(address).terminal(compact=True)


if __name__ == "__main__":
    tell_address(int(sys.argv[1]))
