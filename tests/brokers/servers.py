"""
The brokers: each with its configuration, its start, its end, and how it is made to forget. They listen
on loopback alone, keep their files in a directory of the test's own, and refuse the filter `forbidden/#`.
"""

import abc
import collections
import glob
import json
import os
import pathlib
import shutil
import signal
import subprocess

import harness
from broker import Port, is_listening
from client import Client, Closed

FORBIDDEN = "forbidden/#"
START_S = 90


class Server(abc.ABC):
    """One broker on a port of its own. `where` is the directory that `install` has filled."""

    name = ""               # as in the README's table
    versions = (4,)         # of MQTT, as levels of CONNECT
    publish_qos = 2         # the highest that it takes from a publisher
    granted_qos = 2         # the highest that it grants
    version_level = "V3.0"  # of the topics that are published there
    parser = {}             # keys of [parser] that the daemon needs
    username = password = None
    stop_signal = signal.SIGTERM

    def __init__(self, where, directory):
        self.where, self.directory = pathlib.Path(where), pathlib.Path(directory)
        self.state = self.directory / "state"
        self.log_path = self.directory / "broker.log"
        self._port = Port()
        self.port = self._port.number
        self.process = None
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.log_path.touch()
        self.state.mkdir(mode=0o700)
        self.configure()

    @abc.abstractmethod
    def configure(self):
        """Write the configuration files."""

    @abc.abstractmethod
    def command(self):
        """The words that run the broker in the foreground."""

    @abc.abstractmethod
    def version(self):
        """A text in which the version of the program stands."""

    def environment(self):
        """Variables that it needs besides HOME and PATH."""
        return {}

    def start(self):
        """Start, and wait until it accepts a client: RabbitMQ listens before it does."""
        environment = {"HOME": str(self.directory), "LC_ALL": "C.UTF-8",
                       "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environment()}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, env=environment, start_new_session=True)
        harness.wait_until(self._is_up, START_S, lambda: f"{self.name} to accept a client:\n{self.log()}")
        return self

    def _is_up(self):
        assert self.process.poll() is None, f"{self.name} ended:\n{self.log()}"
        if not is_listening(self.port):
            return False
        try:
            client = Client(self, "id-is-it-up", clean=True)
        except (Closed, OSError):
            return False
        client.disconnect()
        return client.code == 0

    def stop(self):
        """End it as its service does."""
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(60)
        finally:
            self.kill()

    def kill(self):
        """SIGKILL, for what it has started too: all that has its process group."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(30)
            self.process = None

    def forget(self):
        """Stop, lose every session and queue, and start again."""
        self.stop()
        shutil.rmtree(self.state)
        self.state.mkdir(mode=0o700)
        self.start()

    def close(self):
        self.kill()
        self._port.close()

    def log(self):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-60:])


class Mosquitto(Server):
    """Of Debian 12, installed by `make deps`."""

    name = "mosquitto 2.0.11"
    versions = (4, 5)
    plugins = "/usr/lib/*/mosquitto_dynamic_security.so"

    def configure(self):
        plugin = glob.glob(str(self.plugins))
        assert plugin, f"{self.plugins} is not there"
        # An acl_file grants a filter and then delivers nothing; this plugin refuses.
        everyone = [{"acltype": "subscribePattern", "topic": FORBIDDEN, "allow": False, "priority": 1},
                    {"acltype": "subscribePattern", "topic": "#", "allow": True}]
        access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": True,
                  "unsubscribe": True}
        self.security = self.directory / "dynamic-security.json"
        self.security.write_text(json.dumps({
            "defaultACLAccess": access, "clients": [], "anonymousGroup": "all",
            "groups": [{"groupname": "all", "roles": [{"rolename": "all"}]}],
            "roles": [{"rolename": "all", "acls": everyone}]}))
        (self.directory / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser root\nallow_anonymous true\n"
            f"plugin {plugin[0]}\nplugin_opt_config_file {self.security}\n"
            f"persistence true\npersistence_location {self.state}/\n"
            "max_queued_messages 0\nmax_queued_bytes 0\nlog_dest stderr\n")

    def program(self):
        """The words that run mosquitto, without its options."""
        return [harness.find_program("mosquitto")]

    def command(self):
        return [*self.program(), "-c", self.directory / "mosquitto.conf"]

    def version(self):
        # Its exit status is 3, but this is what -h is for.
        return harness.run(*self.program(), "-h", check=False).stdout.splitlines()[0]


class Mosquitto2021(Mosquitto):
    """Of Debian 13, with the C library of Debian 13."""

    name = "mosquitto 2.0.21"

    @property
    def plugins(self):
        return self.where / "trixie/usr/lib/*/mosquitto_dynamic_security.so"

    def program(self):
        root = self.where / "trixie"
        loader = glob.glob(f"{root}/usr/lib/*/ld-linux-*.so.*") + glob.glob(f"{root}/usr/lib64/ld-linux*")
        libraries = ":".join(glob.glob(f"{root}/usr/lib/*-linux-gnu*"))
        return [loader[0], "--library-path", libraries, root / "usr/sbin/mosquitto"]


class Erlang(Server):
    """What the two brokers in Erlang share: a private Erlang, and no name server of Erlang's left."""

    def __init__(self, where, directory):
        self.root = pathlib.Path(where) / "debian"
        self._more_ports = Port(), Port(), Port()
        super().__init__(where, directory)

    def environment(self):
        library = ":".join([*glob.glob(f"{self.root}/usr/lib/*-linux-gnu"), f"{self.root}/usr/lib"])
        return {"LD_LIBRARY_PATH": library,
                "PATH": f"{self.root}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "ERL_EPMD_PORT": str(self._more_ports[0].number), "ERL_EPMD_ADDRESS": "127.0.0.1"}

    def close(self):
        super().close()
        for port in self._more_ports:
            port.close()


class Ejabberd(Erlang):
    """Its sessions are in RAM."""

    name = "ejabberd 23.01"
    versions = (4, 5)
    username, password = "fox", "fox"

    def configure(self):
        (self.directory / "ejabberd.yml").write_text(f"""
hosts: [localhost]
loglevel: info
auth_method: [anonymous]
anonymous_protocol: login_anon
allow_multiple_connections: true
listen:
  - port: {self.port}
    ip: "127.0.0.1"
    module: mod_mqtt
    backlog: 100
modules:
  mod_mqtt:
    max_queue: unlimited
    session_expiry: 7 days
    access_subscribe:
      "foxtrackr/#":
        - allow: all
""")

    def environment(self):
        applications = glob.glob(f"{self.root}/usr/lib/*-linux-gnu/ejabberd-*")
        return {**super().environment(), "ERL_LIBS": ":".join(
            [*(str(pathlib.Path(one).parent) for one in applications),
             str(self.root / "usr/lib/erlang/lib")]),
                "EJABBERD_CONFIG_PATH": str(self.directory / "ejabberd.yml"),
                "EJABBERD_LOG_PATH": str(self.directory / "ejabberd.log")}

    def command(self):
        return [self.root / "usr/lib/erlang/bin/erl", "-noinput", "-noshell", "-mnesia", "dir",
                f'"{self.state}"', "-s", "ejabberd"]

    def version(self):
        return min(glob.glob(f"{self.root}/usr/lib/*-linux-gnu/ejabberd-*"))


class RabbitMQ(Erlang):
    """With its MQTT plugin; without a connection of Erlang's to others."""

    name = "RabbitMQ 3.10.8"
    granted_qos = 1
    parser = {"version_slash": "yes"}

    def configure(self):
        (self.directory / "rabbitmq.conf").write_text(f"""
listeners.tcp.1 = 127.0.0.1:{self._more_ports[1].number}
mqtt.listeners.tcp.1 = 127.0.0.1:{self.port}
mqtt.allow_anonymous = true
mqtt.subscription_ttl = 604800000
load_definitions = {self.directory}/definitions.json
""")
        (self.directory / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        (self.directory / "definitions.json").write_text(json.dumps({
            "users": [{"name": "guest", "password": "guest", "tags": ""}],
            "vhosts": [{"name": "/"}],
            "permissions": [{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*",
                             "read": ".*"}],
            "topic_permissions": [{"user": "guest", "vhost": "/", "exchange": "amq.topic",
                                   "write": ".*", "read": "^(?!forbidden).*"}]}))

    def environment(self):
        return {**super().environment(),
                "RABBITMQ_NODENAME": f"fox{self.port}@localhost", "RABBITMQ_NODE_PORT": "",
                # Erlang's own port: by default 25672, on every interface.
                "RABBITMQ_DIST_PORT": str(self._more_ports[2].number),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                    "-kernel inet_dist_use_interface {127,0,0,1}",
                "RABBITMQ_MNESIA_BASE": str(self.state), "RABBITMQ_LOGS": "-",
                "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
                "RABBITMQ_LOG_BASE": str(self.directory),
                "RABBITMQ_ERLANG_COOKIE": "fox"}

    def command(self):
        # RabbitMQ wants Erlang's name server to run; what ends this process group ends it too.
        return ["sh", "-c", f"epmd & exec {self.root}/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def version(self):
        return glob.glob(f"{self.root}/usr/lib/rabbitmq/lib/rabbitmq_server-*")[0]


class Nats(Server):
    """Takes QoS 1 at most, and no dot in a topic."""

    name = "NATS 2.9.10"
    publish_qos = granted_qos = 1
    version_level = "V3"

    def __init__(self, where, directory):
        self._client_port = Port()
        super().__init__(where, directory)

    def configure(self):
        (self.directory / "nats.conf").write_text(f"""
server_name: fox
listen: 127.0.0.1:{self._client_port.number}
jetstream {{ store_dir: "{self.state}" }}
mqtt {{ listen: 127.0.0.1:{self.port}, no_auth_user: fox }}
authorization {{
  users: [{{ user: fox, password: fox, permissions: {{ subscribe: {{ deny: "forbidden.>" }} }} }}]
}}
""")

    def command(self):
        return [self.where / "debian/usr/sbin/nats-server", "-c", self.directory / "nats.conf"]

    def version(self):
        return harness.run(self.command()[0], "--version").stdout

    def close(self):
        super().close()
        self._client_port.close()


class Aedes(Server):
    """A library for Node; its standard persistence is memory."""

    name = "aedes 1.2.0"
    SCRIPT = """
import { Aedes } from 'aedes'
import { createServer } from 'node:net'
const aedes = await Aedes.createBroker({
  authorizeSubscribe: (client, sub, callback) => callback(null, sub.topic === '%s' ? null : sub)
})
createServer(aedes.handle).listen(%d, '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
"""

    def configure(self):
        (self.directory / "node_modules").symlink_to(self.where / "aedes/node_modules")
        (self.directory / "broker.mjs").write_text(self.SCRIPT % (FORBIDDEN, self.port))

    def command(self):
        return [harness.find_program("node"), self.directory / "broker.mjs"]

    def version(self):
        return json.loads((self.where / "aedes/node_modules/aedes/package.json").read_text())["version"]


SERVERS = collections.OrderedDict([
    ("mosquitto-2.0.11", Mosquitto), ("mosquitto-2.0.21", Mosquitto2021), ("ejabberd", Ejabberd),
    ("rabbitmq", RabbitMQ), ("nats", Nats), ("aedes", Aedes)])
