"""Asks a gNMI server with pygnmi, over TLS with a client certificate, and prints a JSON line per thing it did.

Arguments: host:port, device, CA, client certificate and client key (files).
"""

import json
import sys
from importlib.metadata import version

from pygnmi.client import gNMIclient

address, device, ca, cert, key = sys.argv[1:6]
host, port = address.rsplit(":", 1)
PATHS = ["/system/name", "/interfaces/interface[name=et-0/0/1]/state/in-octets"]


def say(what, **more):
    print(json.dumps({"what": what, **more}), flush=True)


def values(message):
    """Path and value of each update, deletes with None."""
    update = message.get("update", {})
    found = {one["path"]: one.get("val") for one in update.get("update", [])}
    found.update({one["path"]: None for one in update.get("delete", [])})
    return found


def subscriptions(mode, **more):
    return [{"path": path, "mode": mode, **more} for path in PATHS]


def read_stream(what, subscription, count):
    """Until the sync, which pygnmi hands out together with the first set, and `count` messages after it."""
    stream = client.subscribe_stream({"subscription": subscription, "mode": "stream", "encoding": "proto"}, target=device)
    before, after, synced = {}, [], False
    try:
        while len(after) < count:
            message = stream.get_update(timeout=20)
            if synced:
                after.append(values(message))
            else:
                before.update(values(message))
                synced = bool(message.get("sync_response"))
    finally:
        stream.close()
    say(what, before=before, after=after)


with gNMIclient(
    target=(host, int(port)), path_root=ca, path_cert=cert, path_key=key, no_qos_marking=True, gnmi_timeout=20
) as client:
    say("versions", pygnmi=version("pygnmi"), grpcio=version("grpcio"))
    offered = client.capabilities()
    say("capabilities", version=offered["gnmi_version"], encodings=offered["supported_encodings"])

    answer = client.get(path=PATHS, target=device, encoding="json_ietf")
    say("get", values=[one.get("val") for part in answer["notification"] for one in part["update"]])

    once, syncs = {}, 0
    for message in client.subscribe_once(
        {"subscription": [{"path": path} for path in PATHS], "mode": "once", "encoding": "proto"}, target=device
    ):
        syncs += 1 if message.get("sync_response") else 0
        once.update(values(message))
    say("once", values=once, syncs=syncs)

    poll = client.subscribe_poll(
        {"subscription": [{"path": path} for path in PATHS], "mode": "poll", "encoding": "proto"}, target=device
    )
    rounds = []
    for _ in range(2):
        found, synced = {}, False
        while not synced:
            message = poll.get_update(timeout=20)
            found.update(values(message))
            synced = bool(message.get("sync_response"))
        rounds.append(found)
    poll.close()
    say("poll", rounds=rounds)

    read_stream("on-change", subscriptions("on_change"), 3)
    read_stream("sample", subscriptions("sample", sample_interval=500_000_000), 3)
