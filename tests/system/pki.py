"""A certificate authority for the tests, and certificates with everything that can be wrong."""

import pathlib

from harness import run

CA_CONFIG = """
[ca]
default_ca = test
[test]
database = {directory}/{name}.index
new_certs_dir = {directory}
serial = {directory}/{name}.serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:false
subjectAltName = {names}
extendedKeyUsage = serverAuth
"""

VALID = ("20240101000000Z", "20491231235959Z")
EXPIRED = ("20200101000000Z", "20210930140115Z")


class Pki:
    """Files in one directory: NAME.crt and NAME.key. Made by the openssl program."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.authority("ca", "Foxtrackr Test CA", VALID)
        self.authority("other_ca", "Another CA", VALID)
        self.authority("expired_ca", "Expired Test CA", EXPIRED)
        good = "DNS:localhost,DNS:broker.foxtrackr.test,IP:127.0.0.1,IP:::1"
        self.server("server", "ca", "localhost", good, VALID)
        self.server("expired", "ca", "localhost", good, EXPIRED)
        self.server("unknown", "other_ca", "localhost", good, VALID)
        self.server("wrong_host", "ca", "elsewhere.example.org", "DNS:elsewhere.example.org", VALID)

    def certificate(self, name):
        return self.directory / f"{name}.crt"

    def key(self, name):
        return self.directory / f"{name}.key"

    def _request(self, name, subject):
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", f"/CN={subject}", "-keyout", self.key(name),
            "-out", self.directory / f"{name}.csr")

    def _sign(self, name, authority, extensions, names, dates):
        """`openssl ca`, because it is the command that can date a certificate in the past."""
        config = self.directory / f"{name}.conf"
        config.write_text(
            CA_CONFIG.format(directory=self.directory, name=authority, names=names))
        (self.directory / f"{authority}.index").touch()
        issuer = ["-selfsign"] if authority == name else ["-cert", self.certificate(authority)]
        run("openssl", "ca", "-batch", "-notext", "-config", config, "-extensions", extensions,
            "-startdate", dates[0], "-enddate", dates[1], "-create_serial", "-rand_serial",
            "-keyfile", self.key(authority), *issuer,
            "-in", self.directory / f"{name}.csr", "-out", self.certificate(name))

    def authority(self, name, subject, dates):
        self._request(name, subject)
        self._sign(name, name, "authority", "DNS:unused", dates)

    def server(self, name, authority, subject, names, dates):
        self._request(name, subject)
        self._sign(name, authority, "server", names, dates)
