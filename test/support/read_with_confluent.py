"""Reads `telemetry` and `state` as any Python user would: confluent-kafka's consumer and its ProtobufDeserializer, with
classes that grpcio-tools compiles from schemas/proto. Knows of Holdfast only what schemas/README.md says.

Arguments: brokers, registry URL, topic prefix, folder of the .proto files. Prints one JSON object per record, then one
with the versions used.
"""

import importlib
import json
import os
import struct
import sys
import tempfile

import confluent_kafka
import google.protobuf
import grpc_tools
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from grpc_tools import protoc

brokers, registry_url, prefix, protos = sys.argv[1:]


def compile_protos(target):
    files = [
        os.path.relpath(os.path.join(folder, name), protos)
        for folder, _, names in os.walk(protos)
        for name in names
        if name.endswith(".proto")
    ]
    well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    if protoc.main(["protoc", f"-I{protos}", f"-I{well_known}", f"--python_out={target}", *sorted(files)]) != 0:
        sys.exit("the .proto files do not compile")
    sys.path.insert(0, target)


def records(topic):
    """Every record of a topic, partition by partition, up to the end it has now."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": brokers, "group.id": "foreign", "enable.auto.commit": False}
    )
    try:
        for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
            at = confluent_kafka.TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)
            _, end = consumer.get_watermark_offsets(at, timeout=20)
            consumer.assign([at])
            while consumer.position([at])[0].offset < end and end > 0:
                message = consumer.poll(20)
                if message is None or message.error():
                    sys.exit(f"{topic} {partition}: {message and message.error()}")
                yield message
                if message.offset() + 1 >= end:
                    break
    finally:
        consumer.close()


def value_of(typed):
    """A TypedValue as RFC 7951 writes it; None for the kinds that need more than a line."""
    kind = typed.WhichOneof("value")
    if kind in ("int_val", "uint_val"):
        return str(getattr(typed, kind))
    return getattr(typed, kind) if kind in ("string_val", "bool_val") else None


def line_of(message, decoded):
    header = struct.unpack(">BBHHQQQ", dict(message.headers())["hf"])
    line = {
        "topic": message.topic()[len(prefix) :],
        "partition": message.partition(),
        "key": message.key().decode(),
        "header": [str(part) for part in header],
        "message": decoded and decoded.DESCRIPTOR.full_name,
    }
    if decoded is not None and line["message"] == "gnmi.SubscribeResponse":
        update = decoded.update
        line["timestamp"] = str(update.timestamp)
        for one in update.update:
            if [elem.name for elem in one.path.elem] == ["simulator", "state", "sequence"]:
                line["sequence"] = str(one.val.uint_val)
    if decoded is not None and line["message"] == "holdfast.v1.Leaf":
        line |= {
            "device": decoded.device,
            "path": f"{decoded.origin}:{decoded.path}",
            "timestamp": str(decoded.timestamp_ns),
            "value": value_of(decoded.value),
        }
    return line


def main():
    with tempfile.TemporaryDirectory() as target:
        compile_protos(target)
        response = importlib.import_module("gnmi.gnmi_pb2").SubscribeResponse
        leaf = importlib.import_module("holdfast.v1.leaf_pb2").Leaf
        marker = importlib.import_module("holdfast.v1.marker_pb2").Marker
        registry = SchemaRegistryClient({"url": registry_url})
        deserialize = {
            one: ProtobufDeserializer(one, {"use.deprecated.format": False}, registry)
            for one in (response, leaf, marker)
        }
        for topic, data in ((f"{prefix}telemetry", response), (f"{prefix}state", leaf)):
            for message in records(topic):
                kind = dict(message.headers())["hf"][1]
                is_marker = kind != 0 if data is response else message.key() == b"|slot"
                context = SerializationContext(topic, MessageField.VALUE, message.headers())
                decoded = deserialize[marker if is_marker else data](message.value(), context)
                print(json.dumps(line_of(message, decoded)))
    print(json.dumps({"confluent-kafka": confluent_kafka.__version__, "protobuf": google.protobuf.__version__}))


main()
