"""Certificates with everything that can be wrong, made by the openssl program."""

import pathlib
import subprocess

VALID = ("20240101000000Z", "20491231235959Z")
EXPIRED = ("20200101000000Z", "20210930140115Z")
FUTURE = ("20450101000000Z", "20491231235959Z")
GOOD_NAMES = "DNS:localhost,IP:127.0.0.1"

CONFIG = """
[ca]
default_ca = test
[test]
database = {directory}/{authority}.index
new_certs_dir = {directory}
serial = {directory}/{authority}.serial
default_md = {digest}
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
[client]
basicConstraints = CA:false
extendedKeyUsage = clientAuth
"""


class Certificates:
    """Files NAME.crt and NAME.key in one directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def certificate(self, name):
        return self.directory / f"{name}.crt"

    def key(self, name):
        return self.directory / f"{name}.key"

    def pair(self, name):
        return str(self.certificate(name)), str(self.key(name))

    def authority(self, name, subject, dates=VALID, **how):
        return self._make(name, name, subject, "authority", "DNS:unused", dates, **how)

    def server(self, name, authority, subject="localhost", names=GOOD_NAMES, dates=VALID, **how):
        return self._make(name, authority, subject, "server", names, dates, **how)

    def client(self, name, authority, subject="client"):
        return self._make(name, authority, subject, "client", GOOD_NAMES, VALID)

    def self_signed(self, name, subject="localhost"):
        return self._make(name, name, subject, "server", GOOD_NAMES, VALID)

    def chain(self, name, *parts):
        """A file with several certificates, and the key of the first."""
        self.certificate(name).write_text(
            "".join(self.certificate(part).read_text() for part in parts))
        self.key(name).write_text(self.key(parts[0]).read_text())

    def _make(self, name, authority, subject, extensions, names, dates, *, bits=None,
              digest="sha256"):
        """`openssl ca`, because it can date a certificate as one likes. bits: an RSA key."""
        kind = ["rsa:" + str(bits)] if bits else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        request, config = self.directory / f"{name}.csr", self.directory / f"{name}.conf"
        _openssl("req", "-new", "-newkey", *kind, "-nodes", "-subj", f"/CN={subject}",
                 "-keyout", self.key(name), "-out", request)
        config.write_text(CONFIG.format(
            directory=self.directory, authority=authority, names=names, digest=digest))
        (self.directory / f"{authority}.index").touch()
        issuer = ["-selfsign"] if authority == name else ["-cert", self.certificate(authority)]
        _openssl("ca", "-batch", "-notext", "-config", config, "-extensions", extensions,
                 "-startdate", dates[0], "-enddate", dates[1], "-create_serial", "-rand_serial",
                 "-keyfile", self.key(authority), *issuer, "-in", request,
                 "-out", self.certificate(name))
        return self.certificate(name)


def _openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise AssertionError(f"openssl {' '.join(map(str, words))}:\n{done.stderr}")
