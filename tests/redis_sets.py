"""Private sets of Redis servers for tests: a master with a replica and Sentinels, and a Cluster."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.ports import HOST, free_port
from tests.redis_server import PROGRAM, RedisServer
from tests.servers import ServerMissing, end_with_parent, wait_until

MASTER = "shop"
SENTINELS = 3
DOWN_AFTER_MS = 500
NODES = 3
SLOTS = 16_384
START_TIMEOUT_S = 60
QUICK_REPLICATION = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


class SentinelProcess:
    """One Sentinel; it writes what it learns into its file of settings."""

    def __init__(self, *, master_port: int, quorum: int) -> None:
        found = shutil.which(PROGRAM)
        if found is None:
            raise ServerMissing("redis-server is missing: tests/install-servers installs it")
        self._program = found
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="hansa-sentinel-"))
        self._process: subprocess.Popen[bytes] | None = None
        (self._folder / "sentinel.conf").write_text(
            f"port {self.port}\nbind {HOST}\ndir {self._folder}\n"
            f"sentinel monitor {MASTER} {HOST} {master_port} {quorum}\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {MASTER} 3000\n"
        )

    def start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(self._folder / "sentinel.conf"), "--sentinel"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(),
            )
        wait_until(lambda: ask(self.port, lambda client: client.ping()) is not None, timeout_s=START_TIMEOUT_S)

    def rename(self, *, master_port: int) -> None:
        """Another server is the master, and nobody tells the old one."""
        ask(self.port, lambda client: client.sentinel_remove(MASTER))
        ask(self.port, lambda client: client.sentinel_monitor(MASTER, HOST, master_port, 1))

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)
            self._process = None

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        shutil.rmtree(self._folder, ignore_errors=True)


class RedisSentinels:
    """A master, a replica, and Sentinels that make the replica the master when that is gone."""

    def __init__(self) -> None:
        first = RedisServer(*QUICK_REPLICATION)
        self.servers = [first, RedisServer(*QUICK_REPLICATION, "--replicaof", HOST, str(first.port))]
        self.sentinels = [SentinelProcess(master_port=first.port, quorum=SENTINELS // 2 + 1) for _ in range(SENTINELS)]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'{HOST}:{sentinel.port}' for sentinel in self.sentinels)}/{MASTER}/0"

    @property
    def master(self) -> RedisServer:
        """As most Sentinels say."""
        named = [port for sentinel in self.sentinels if (port := master_of(sentinel.port)) is not None]
        port = max(named, key=named.count)
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self) -> RedisServer:
        master = self.master
        return next(server for server in self.servers if server is not master)

    def start(self) -> None:
        """Return when a failover would work; nothing to do if it would already."""
        for server in self.servers:
            server.start()
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until(lambda: self._are_agreed() and self._replicates(), timeout_s=START_TIMEOUT_S)
        if not (self._are_agreed() and self._replicates()):
            raise RuntimeError("the Sentinels did not find each other, or the replica not its master")

    def stop(self) -> None:
        for sentinel in self.sentinels:
            sentinel.stop()
        for server in self.servers:
            server.stop()

    def _replicates(self) -> bool:
        """A former master learns only after a while what it is now, unless it is told."""
        master, replica = self.master, self.replica
        told = replica.ask(lambda client: client.info("replication"))
        if told["role"] == "master":
            replica.ask(lambda client: client.replicaof(HOST, master.port))
        return bool(told.get("master_link_status") == "up" and told["master_port"] == master.port)

    def _are_agreed(self) -> bool:
        masters = [master_of(sentinel.port) for sentinel in self.sentinels]
        if None in masters or len(set(masters)) != 1:
            return False
        for sentinel in self.sentinels:
            state = ask(sentinel.port, lambda client: client.sentinel_master(MASTER))
            if not state or state["num-other-sentinels"] != SENTINELS - 1 or state["num-slaves"] < 1:
                return False
            replicas = ask(sentinel.port, lambda client: client.sentinel_slaves(MASTER))
            if not replicas or any(replica["is_sdown"] or replica["is_disconnected"] for replica in replicas):
                return False
            if state["is_sdown"] or state["is_odown"] or state["flags"] != "master":
                return False
        return True


class RedisCluster:
    """Three masters without replicas."""

    def __init__(self) -> None:
        self._bus_ports = [free_port() for _ in range(NODES)]
        self.servers = [
            RedisServer(
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"),
                *("--cluster-port", str(port), "--cluster-config-file", "nodes.conf"),
            )
            for port in self._bus_ports
        ]
        self._is_made = False

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'{HOST}:{server.port}' for server in self.servers)}"

    def start(self) -> None:
        """Return when it is whole; nothing to do if it is."""
        for server in self.servers:
            server.start()
        if not self._is_made:
            self._make()
            self._is_made = True
        wait_until(self._is_whole, timeout_s=START_TIMEOUT_S)
        if not self._is_whole():
            raise RuntimeError("the nodes did not become a Cluster")

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def slot_of(self, name: str) -> int:
        return int(self.servers[0].ask(lambda client: client.execute_command("CLUSTER", "KEYSLOT", name)))

    def begin_moving(self, slot: int) -> None:
        """From the server that has it to the next one, which is asked for what is not there any more."""
        giver, taker = self._giver_and_taker(slot)
        self._command(taker, "SETSLOT", slot, "IMPORTING", self._id(giver))
        self._command(giver, "SETSLOT", slot, "MIGRATING", self._id(taker))

    def end_moving(self, slot: int) -> None:
        giver, taker = self._giver_and_taker(slot)
        names = giver.ask(lambda client: client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1_000))
        if names:
            giver.ask(lambda client: client.execute_command("MIGRATE", HOST, taker.port, "", 0, 5_000, "KEYS", *names))
        new = self._id(taker)
        for server in (taker, giver):
            self._command(server, "SETSLOT", slot, "NODE", new)

    def _giver_and_taker(self, slot: int) -> tuple[RedisServer, RedisServer]:
        ranges = self.servers[0].ask(lambda client: client.execute_command("CLUSTER", "SLOTS"))
        port = next(owner[1] for first, last, owner, *_ in ranges if first <= slot <= last)
        at = next(number for number, server in enumerate(self.servers) if server.port == port)
        return self.servers[at], self.servers[(at + 1) % NODES]

    def _id(self, server: RedisServer) -> str:
        return str(server.ask(lambda client: client.execute_command("CLUSTER", "MYID")).decode())

    def _make(self) -> None:
        step = -(-SLOTS // NODES)
        for number, server in enumerate(self.servers):
            first, last = number * step, min((number + 1) * step, SLOTS) - 1
            self._command(server, "ADDSLOTS", *range(first, last + 1))
            self._command(server, "SET-CONFIG-EPOCH", number + 1)
        for server, bus_port in zip(self.servers[1:], self._bus_ports[1:], strict=True):
            self._command(self.servers[0], "MEET", HOST, server.port, bus_port)

    def _command(self, server: RedisServer, *words: str | int) -> None:
        server.ask(lambda client: client.execute_command("CLUSTER", *words))

    def _is_whole(self) -> bool:
        for server in self.servers:
            state = ask(server.port, lambda client: client.execute_command("CLUSTER INFO"))
            nodes = ask(server.port, lambda client: client.execute_command("CLUSTER NODES"))
            if state is None or state["cluster_state"] != "ok" or int(state["cluster_known_nodes"]) != NODES:
                return False
            if any(not node["connected"] for node in nodes.values()):
                return False
        return True


def ask(port: int, act: Callable[[Any], Any]) -> Any:
    """Through a plain client; None if nobody answers."""
    client = Redis(host=HOST, port=port, socket_timeout=2, decode_responses=True)
    try:
        return act(client)
    except (RedisError, OSError):
        return None
    finally:
        client.close()


def master_of(sentinel_port: int) -> int | None:
    """The port of the master, as one Sentinel says."""
    address = ask(sentinel_port, lambda client: client.sentinel_get_master_addr_by_name(MASTER))
    return None if not address else int(address[1])
