"""What an application does with a cluster, by redis-py: reads, writes, pipelines, transactions on one
slot, channels and channels of shards.

    workload.py PORT [PORT ...] --protocol 2|3

Works until its input ends. Each line of the input closes a phase, and is answered with a line that says
what came out of that phase, as JSON. The last line says what became of all writes that were acknowledged.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter, deque

import redis
from redis.backoff import ConstantBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry


# So often a listener looks for the channel that has moved.
REDIRECTIONS = 5


class Unsubscribed(Exception):
    """The node took the subscription back: the channel belongs to another node now."""


class Workload:
    """One thread for each kind of work, all of them on clients of their own."""

    def __init__(self, ports, protocol):
        self.ports = ports
        self.protocol = protocol
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self.done = Counter()
        self.errors = Counter()
        self.longest_gap_s = 0.0
        self.acknowledged = {}
        self.latest = deque(maxlen=200)

    def client(self):
        """A cluster client that gives up soon: what fails is counted, and tried again here."""
        nodes = [ClusterNode("127.0.0.1", port) for port in self.ports]
        return RedisCluster(
            startup_nodes=nodes,
            protocol=self.protocol,
            socket_timeout=3,
            retry=Retry(ConstantBackoff(0.05), 5),
        )

    def repeat(self, name, work):
        """Does one piece of work after another, and counts what comes out."""
        client, number, last = self.client(), 0, time.monotonic()
        while not self.is_over.is_set():
            try:
                work(client, number)
                number += 1
                now = time.monotonic()
                with self.lock:
                    self.done[name] += 1
                    self.longest_gap_s = max(self.longest_gap_s, now - last)
                last = now
            except (redis.RedisError, OSError, AssertionError) as error:
                with self.lock:
                    self.errors[f"{name}: {type(error).__name__}: {error}"[:120]] += 1
                time.sleep(0.05)
                client = self.look_again(client)

    def look_again(self, client):
        """A client that knows the cluster as it is now: listeners do not find a lost node's successor."""
        try:
            return self.client()
        except redis.RedisError:
            return client

    def write(self, client, number):
        key = f"write:{number}"
        client.set(key, number)
        self.acknowledge(key, str(number).encode())

    def acknowledge(self, key, value):
        with self.lock:
            self.acknowledged[key] = value
            self.latest.append((key, value))

    def read(self, client, number):
        with self.lock:
            written = list(self.latest)
        if written:
            key, value = written[number % len(written)]
            found = client.get(key)
            assert found == value, f"{key} is {found}"

    def pipeline(self, client, number):
        pipeline = client.pipeline()
        for part in range(10):
            pipeline.set(f"pipe:{number}:{part}", part)
        assert pipeline.execute() == [True] * 10
        for part in range(10):
            self.acknowledge(f"pipe:{number}:{part}", str(part).encode())

    def transaction(self, client, number):
        pipeline = client.pipeline(transaction=True)
        pipeline.set(f"{{tx:{number}}}a", number)
        pipeline.append(f"{{tx:{number}}}a", "!")
        pipeline.strlen(f"{{tx:{number}}}a")
        length = len(str(number)) + 1
        assert pipeline.execute()[1:] == [length, length]
        self.acknowledge(f"{{tx:{number}}}a", f"{number}!".encode())

    def listen(self, client, number):
        """A message to a channel comes back."""
        with client.pubsub() as listener:
            listener.subscribe(f"news:{number}")
            self.expect(listener.get_message, "subscribe")
            client.publish(f"news:{number}", "hello")
            self.expect(listener.get_message, "message")

    def listen_in_shard(self, client, number):
        """
        A message to a channel of a shard comes back. A channel that moves in between is listened to anew, and here
        redis-py follows no redirection: nor does one new look do, for a node may be asked that has not heard of the move.
        """
        for _ in range(REDIRECTIONS):
            try:
                return self.listen_where_it_is(client, number)
            except (redis.exceptions.MovedError, Unsubscribed):
                client.nodes_manager.initialize()
        self.listen_where_it_is(client, number)

    def listen_where_it_is(self, client, number):
        listener = client.pubsub()
        try:
            listener.ssubscribe(f"shard:{number}")
            self.expect(listener.get_sharded_message, "ssubscribe")
            client.spublish(f"shard:{number}", "hello")
            self.expect(listener.get_sharded_message, "smessage")
        finally:
            listener.reset()

    def expect(self, receive, kind):
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            message = receive(timeout=0.2)
            if message and message["type"] == kind:
                return
            if message and message["type"] == "sunsubscribe":
                raise Unsubscribed
        raise AssertionError(f"no {kind} came")

    def close_phase(self):
        """What was done since the last phase was closed."""
        with self.lock:
            phase = {
                "done": dict(self.done),
                "errors": dict(self.errors),
                "longest_gap_ms": round(self.longest_gap_s * 1000),
            }
            self.done.clear()
            self.errors.clear()
            self.longest_gap_s = 0.0
        return phase

    def missing(self):
        """The acknowledged writes that are not there, or not as they were written."""
        client = self.client()
        return [key for key, value in self.acknowledged.items() if client.get(key) != value]

    def run(self):
        kinds = {
            "write": self.write,
            "read": self.read,
            "pipeline": self.pipeline,
            "transaction": self.transaction,
            "listen": self.listen,
            "listen_in_shard": self.listen_in_shard,
        }
        threads = [threading.Thread(target=self.repeat, args=kind) for kind in kinds.items()]
        for thread in threads:
            thread.start()
        for _ in sys.stdin:
            print(json.dumps(self.close_phase()), flush=True)
        self.is_over.set()
        for thread in threads:
            thread.join()
        missing = self.missing()
        print(json.dumps({"acknowledged": len(self.acknowledged), "missing": missing[:20]}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Works with a cluster until its input ends.")
    parser.add_argument("ports", nargs="+", type=int)
    parser.add_argument("--protocol", type=int, choices=(2, 3), default=2)
    arguments = parser.parse_args()
    Workload(arguments.ports, arguments.protocol).run()
