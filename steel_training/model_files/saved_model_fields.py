"""The fields of TensorFlow's SavedModel that decide what it can do, for the protobuf runtime: all others are skipped.

So a SavedModel is read without TensorFlow, which takes seconds to import and is missing on Airflow's API server. Field numbers never change
in protobuf. A map is a list of entries on the wire; read as such, a key that stands twice is seen twice.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "steel_training.saved_model"
_STRING = "string"

_MESSAGES: Final[dict[str, dict[str, tuple[int, str, bool]]]] = {
    # field: (number, type, whether it repeats)
    "SavedModel": {"meta_graphs": (2, "MetaGraph", True)},
    "MetaGraph": {
        "graph_def": (2, "Graph", False),
        "saver_def": (3, "Saver", False),
        "collection_def": (4, "CollectionEntry", True),
        "signature_def": (5, "SignatureEntry", True),
        "object_graph_def": (7, "ObjectGraph", False),
    },
    "Graph": {"node": (1, "Node", True), "library": (2, "Library", False)},
    "Node": {
        "name": (1, _STRING, False),
        "op": (2, _STRING, False),
        "input": (3, _STRING, True),
        "attr": (5, "AttributeEntry", True),
    },
    "AttributeEntry": {"value": (2, "Attribute", False)},
    "Attribute": {"list": (1, "AttributeList", False), "func": (10, "FunctionName", False)},
    "AttributeList": {"func": (9, "FunctionName", True)},
    "FunctionName": {"name": (1, _STRING, False)},
    "Library": {"function": (1, "Function", True), "gradient": (2, "Gradient", True)},
    "Function": {"signature": (1, "FunctionSignature", False), "node_def": (3, "Node", True)},
    "FunctionSignature": {"name": (1, _STRING, False), "input_arg": (2, "Argument", True)},
    "Argument": {"name": (1, _STRING, False)},
    "Gradient": {"function_name": (1, _STRING, False), "gradient_func": (2, _STRING, False)},
    "Saver": {
        "filename_tensor_name": (1, _STRING, False),
        "save_tensor_name": (2, _STRING, False),
        "restore_op_name": (3, _STRING, False),
    },
    "CollectionEntry": {"key": (1, _STRING, False), "value": (2, "Collection", False)},
    "Collection": {"node_list": (1, "NodeList", False)},
    "NodeList": {"value": (1, _STRING, True)},
    "SignatureEntry": {"key": (1, _STRING, False), "value": (2, "Signature", False)},
    "Signature": {"inputs": (1, "TensorEntry", True), "outputs": (2, "TensorEntry", True)},
    "TensorEntry": {"key": (1, _STRING, False), "value": (2, "Tensor", False)},
    "Tensor": {"name": (1, _STRING, False)},
    "ObjectGraph": {"nodes": (1, "Object", True), "concrete_functions": (2, "ConcreteFunctionEntry", True)},
    "Object": {"asset": (5, "Asset", False)},
    "Asset": {},
    "ConcreteFunctionEntry": {"key": (1, _STRING, False)},
}


def _made() -> Any:
    """Return the class of the message `SavedModel`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="steel_training/saved_model.proto", package=_PACKAGE, syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeats) in fields.items():
            made = message.field.add(name=field, number=number)
            made.label = kinds.LABEL_REPEATED if repeats else kinds.LABEL_OPTIONAL
            if kind == _STRING:
                made.type = kinds.TYPE_STRING
            else:
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.SavedModel"))


SavedModel: Final[Any] = _made()
