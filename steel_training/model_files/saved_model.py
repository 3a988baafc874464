"""Every operation of a SavedModel is one that this program's exports hold.

The saver's two functions, which read and write the variables, are the exception: they hold file operations, and are allowed where only
the saver can call them, with the path that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# What exports of both backbones hold, at any size of input and patch, with flips and without.
_EXPORTED = """
Abs AddV2 All Assert AssignVariableOp BiasAdd Cast ConcatV2 Const Conv2D DecodeImage DecodeJpeg DecodePng DecodeRaw
DepthwiseConv2dNative DisableCopyOnRead Equal ExpandDims ExtractJpegShape Fill FloorDiv Greater GreaterEqual Identity IdentityN If Less
LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool Maximum Mean Minimum Mul Neg NoOp OnesLike Pack Pad
Placeholder Range ReadVariableOp RealDiv Relu Reshape Rsqrt ScaleAndTranslate Select Shape Sigmoid Size Sqrt Square Squeeze
StatefulPartitionedCall StatelessIf StaticRegexFullMatch StridedSlice StringFormat StringJoin StringLength Sub Substr
TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem TensorListStack Tile VarHandleOp VarIsInitializedOp While
"""
# Arithmetic on tensors, to which another version of TensorFlow or Keras may turn the same layers.
_ALIKE = """
Add AddN Any AvgPool BroadcastArgs BroadcastTo Case Conv2DBackpropInput Cumsum DecodeBmp Einsum Elu EnsureShape Exp Expm1 Floor
FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 GatherNd GatherV2 LeakyRelu Min MirrorPad NotEqual PadV2 PartitionedCall
PlaceholderWithDefault Pow PreventGradient Prod Rank RegexFullMatch Relu6 ResizeBilinear ReverseV2 Round Selu SelectV2 ShapeN Sign Slice
Softmax Softplus Split SplitV SquaredDifference StatelessCase StatelessWhile StopGradient Sum Tanh Transpose Unpack Where Xdivy
ZerosLike BatchMatMulV2
"""
ALLOWED = frozenset((_EXPORTED + _ALIKE).split())
SAVING = frozenset({"MergeV2Checkpoints", "SaveV2", "ShardedFilename"})
RESTORING = frozenset({"RestoreV2"})


def objection(data: bytes) -> str | None:
    """Return why a `saved_model.pb` must not be loaded, as the end of a sentence about it; `None` where it may be."""
    # Here, because the command line's start-up imports this module.
    from google.protobuf.message import DecodeError

    from steel_training.model_files.saved_model_fields import SavedModel

    try:
        model = SavedModel.FromString(data)
    except DecodeError:
        return "cannot be read: it is damaged, or not a SavedModel"
    found: Iterator[str] = (each for graph in model.meta_graphs for each in _objections(graph))
    return next(found, None)


def _objections(meta: Any) -> Iterator[str]:
    graph, functions = meta.graph_def, list(meta.graph_def.library.function)
    yield from _foreign(graph.node, ALLOWED, "the graph")
    with_files: dict[str, Any] = {}
    for function in functions:
        name = function.signature.name
        if any(node.op in SAVING | RESTORING for node in function.node_def):
            with_files[name] = function
            yield from _foreign(function.node_def, ALLOWED | SAVING | RESTORING, f"function {name}")
        else:
            yield from _foreign(function.node_def, ALLOWED, f"function {name}")
    if with_files:
        yield from _misused_savers(meta, functions, with_files)
    for each in meta.object_graph_def.nodes:
        if each.HasField("asset"):
            yield "has an asset: a file that its graph reads"


def _foreign(nodes: Iterable[Any], allowed: frozenset[str], where: str) -> Iterator[str]:
    for node in nodes:
        if node.op not in allowed:
            yield (
                f"holds the operation {node.op} (node {node.name} of {where}), which this program's exports do not hold; operations that read or "
                "write files, connect, or run code are not among theirs"
            )


def _misused_savers(meta: Any, functions: list[Any], with_files: Mapping[str, Any]) -> Iterator[str]:
    """Yield each way in which anything but the saver could call a function that reads or writes files."""
    saver = meta.saver_def
    save, restore, path = (
        _node(name) for name in (saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name)
    )

    def misused(name: str, by: str) -> str:
        held = sorted({node.op for node in with_files[name].node_def} & (SAVING | RESTORING))
        return f"lets {by} call function {name}, which reads or writes files ({', '.join(held)}); only the saver of the variables may"

    for function in functions:
        for name in sorted(_called(function.node_def) & with_files.keys()):
            yield misused(name, f"function {function.signature.name}")
    for gradient in meta.graph_def.library.gradient:
        if gradient.gradient_func in with_files:
            yield misused(gradient.gradient_func, f"the gradient of {gradient.function_name}")
    for entry in meta.object_graph_def.concrete_functions:
        if entry.key in with_files:
            yield misused(entry.key, "its callers")
    used = {_node(name) for node in meta.graph_def.node for name in node.input}
    used |= {_node(entry.value.name) for each in meta.signature_def for entry in _tensors(each.value)}
    used |= {_node(value) for each in meta.collection_def for value in each.value.node_list.value}
    places = {node.name for node in meta.graph_def.node if node.name == path and node.op == "Placeholder"}
    for node in meta.graph_def.node:
        for name in sorted(_called([node]) & with_files.keys()):
            ours = (
                node.name in {save, restore} and node.name not in used and node.input and _node(node.input[0]) in places
            )
            if not ours:
                yield misused(name, f"node {node.name}")
            elif node.name == restore and not _only_restores(with_files[name]):
                yield f"has a function {name} to read the variables that reads or writes other files"


def _only_restores(function: Any) -> bool:
    """Return whether the only file that a function touches is the one whose path it is given first."""
    given = function.signature.input_arg[0].name if function.signature.input_arg else None
    for node in function.node_def:
        if node.op in SAVING or (node.op in RESTORING and (not node.input or node.input[0] != given)):
            return False
    return True


def _tensors(signature: Any) -> Iterator[Any]:
    yield from signature.inputs
    yield from signature.outputs


def _called(nodes: Iterable[Any]) -> set[str]:
    """Return the names of the functions that nodes hold as an attribute."""
    found: set[str] = set()
    for node in nodes:
        for entry in node.attr:
            found |= {func.name for func in (entry.value.func, *entry.value.list.func) if func.name}
    return found


def _node(tensor: str) -> str:
    """Return the name of the node of a tensor or control input: `^a`, `a:0` and `a` are of node a."""
    return tensor.removeprefix("^").split(":")[0]
