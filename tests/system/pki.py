"""The certificate authorities of the system tests, and the broker's certificates."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from certificates import EXPIRED, Certificates  # noqa: E402

NAMES = "DNS:localhost,DNS:broker.foxtrackr.test,IP:127.0.0.1,IP:::1"


class Pki(Certificates):
    """Files in one directory: NAME.crt and NAME.key."""

    def __init__(self, directory):
        super().__init__(directory)
        self.authority("ca", "Foxtrackr Test CA")
        self.authority("other_ca", "Another CA")
        self.authority("expired_ca", "Expired Test CA", EXPIRED)
        self.server("server", "ca", names=NAMES)
        self.server("expired", "ca", names=NAMES, dates=EXPIRED)
        self.server("unknown", "other_ca", names=NAMES)
        self.server("wrong_host", "ca", "elsewhere.example.org", "DNS:elsewhere.example.org")
