"""A graph is loaded only where every operation is one of ours, however it is hidden; and ours always is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steel_training.model_files import objection
from steel_training.model_files.saved_model import ALLOWED, RESTORING, SAVING

Model = Any
PB = "saved_model/saved_model.pb"


@pytest.fixture
def model(exported: Path) -> Model:
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2.SavedModel.FromString((exported / PB).read_bytes())


def test_own_exports_are_accepted(exported: Path, model: Model) -> None:
    assert objection(PB, (exported / PB).read_bytes()) is None
    assert objection(PB, model.SerializeToString()) is None


def test_versions_of_an_earlier_release_are_accepted() -> None:
    stores = Path(__file__).resolve().parents[2] / "stores"
    found = [path for path in stores.rglob("*") if path.name in {"saved_model.pb", "model.keras"}]
    assert len(found) >= 4
    for path in found:
        name = PB if path.name == "saved_model.pb" else path.name
        assert objection(name, path.read_bytes()) is None


@pytest.mark.parametrize(
    ("backbone", "size", "flips", "patch"),
    [
        ("EfficientNetB0", 64, False, (64, 64)),
        pytest.param("EfficientNetB0", 33, True, (37, 300), marks=pytest.mark.slow),
        pytest.param("ResNet50", 50, True, None, marks=pytest.mark.slow),
    ],
)
def test_real_networks_are_accepted(
    tmp_path: Path, backbone: Any, size: int, flips: bool, patch: tuple[int, int] | None
) -> None:
    from steel_training.bundle.export import export
    from steel_training.bundle.input_record import InputRecord
    from steel_training.config import ModelConfig
    from steel_training.training.model_trainer import TransferLearningModel

    network = TransferLearningModel.build(ModelConfig(backbone=backbone, weights="none"), size)
    export(
        network.scoring_model(flips=flips),
        tmp_path,
        threshold=0.5,
        input_size=size,
        version="v",
        takes=InputRecord(patch=patch),
    )
    for name in (PB, "model.keras"):
        assert objection(name, (tmp_path / name).read_bytes()) is None


def test_listed_operations_touch_nothing_but_tensors() -> None:
    """By TensorFlow's own register: none has a state outside the graph, but variables, calls and an assertion."""
    from tensorflow.python.framework import op_def_registry

    stateful = {name for name in ALLOWED if (known := op_def_registry.get(name)) is not None and known.is_stateful}
    calls = {"Case", "If", "PartitionedCall", "StatefulPartitionedCall", "While"}
    variables = {"AssignVariableOp", "DisableCopyOnRead", "ReadVariableOp", "VarHandleOp", "VarIsInitializedOp"}
    assert stateful <= calls | variables | {"Assert", "Placeholder"}
    assert not ALLOWED & (SAVING | RESTORING)
    assert [name for name in ALLOWED if op_def_registry.get(name) is None] == []


def function_named(model: Model, part: str) -> Any:
    return next(f for f in model.meta_graphs[0].graph_def.library.function if part in f.signature.name)


def operation_in_a_branch(model: Model) -> None:
    function_named(model, "cond").node_def.add(name="read", op="ReadFile")


def operation_in_the_graph(model: Model) -> None:
    """As in a SavedModel of TensorFlow 1, whose initialisers run when it is loaded."""
    model.meta_graphs[0].graph_def.node.add(name="init", op="PyFunc")


def operation_in_a_second_graph(model: Model) -> None:
    model.meta_graphs.add().graph_def.node.add(name="write", op="WriteFile")


def saver_as_a_signature(model: Model) -> None:
    """The sender of a request would choose the path that is read."""
    name = function_named(model, "traced_restore").signature.name
    model.meta_graphs[0].object_graph_def.concrete_functions[name].bound_inputs.append(1)


def saver_called_by_the_signature(model: Model) -> None:
    call = function_named(model, "signature_wrapper").node_def.add(name="save", op="StatefulPartitionedCall")
    call.attr["f"].func.name = function_named(model, "traced_save").signature.name


def saver_among_branches(model: Model) -> None:
    call = function_named(model, "signature_wrapper").node_def.add(name="save", op="Case")
    call.attr["branches"].list.func.add().name = function_named(model, "traced_save").signature.name


def saver_as_a_gradient(model: Model) -> None:
    library = model.meta_graphs[0].graph_def.library
    library.gradient.add(
        function_name=function_named(model, "serve").signature.name,
        gradient_func=function_named(model, "traced_save").signature.name,
    )


def saver_as_an_output(model: Model) -> None:
    meta = model.meta_graphs[0]
    meta.signature_def["serving_default"].outputs["score"].name = meta.saver_def.save_tensor_name


def saver_as_an_initialiser(model: Model) -> None:
    meta = model.meta_graphs[0]
    meta.collection_def["saved_model_main_op"].node_list.value.append(meta.saver_def.restore_op_name)


def saver_pulled_by_another_node(model: Model) -> None:
    meta = model.meta_graphs[0]
    meta.graph_def.node.add(name="pull", op="NoOp", input=[f"^{meta.saver_def.restore_op_name}"])


def saver_with_a_path_of_its_own(model: Model) -> None:
    meta = model.meta_graphs[0]
    place = meta.saver_def.filename_tensor_name.split(":")[0]
    next(node for node in meta.graph_def.node if node.name == place).op = "Const"


def restorer_of_another_file(model: Model) -> None:
    function = function_named(model, "traced_restore")
    function.node_def.add(name="elsewhere", op="Const")
    next(node for node in function.node_def if node.op == "RestoreV2").input[0] = "elsewhere:output:0"


def restorer_that_writes(model: Model) -> None:
    function_named(model, "traced_restore").node_def.add(name="write", op="SaveV2", input=["file_prefix"])


def asset(model: Model) -> None:
    model.meta_graphs[0].object_graph_def.nodes.add().asset.asset_file_def_index = 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (operation_in_a_branch, "the operation ReadFile (node read of function map_while_c"),
        (operation_in_the_graph, "the operation PyFunc (node init of the graph)"),
        (operation_in_a_second_graph, "the operation WriteFile"),
        (saver_as_a_signature, "which reads or writes files (RestoreV2)"),
        (saver_called_by_the_signature, "lets function __inference_signature_wrapper"),
        (saver_among_branches, "which reads or writes files (MergeV2Checkpoints, SaveV2, ShardedFilename)"),
        (saver_as_a_gradient, "lets the gradient of"),
        (saver_as_an_output, "only the saver of the variables may"),
        (saver_as_an_initialiser, "only the saver of the variables may"),
        (saver_pulled_by_another_node, "only the saver of the variables may"),
        (saver_with_a_path_of_its_own, "only the saver of the variables may"),
        (restorer_of_another_file, "reads or writes other files"),
        (restorer_that_writes, "reads or writes other files"),
        (asset, "has an asset"),
    ],
)
def test_hidden_file_operation_is_refused_by_name(model: Model, change: Callable[[Model], None], told: str) -> None:
    change(model)
    found = objection(PB, model.SerializeToString())
    assert found is not None
    assert found.startswith(PB)
    assert told in found


@pytest.mark.parametrize("name", ["saved_model/saved_model.pbtxt", "saved_model/saved_model.cpb"])
def test_other_form_of_a_graph_is_refused(name: str) -> None:
    """TensorFlow would load it in the place of saved_model.pb."""
    assert objection(name, b"") == f"{name} is another form of a graph"


@pytest.mark.parametrize("data", [b"torn", b"\x12\xff\xff\xff\xff\x0f"])
def test_damaged_graph_is_refused(data: bytes) -> None:
    assert "cannot be read" in str(objection(PB, data))


def test_graph_is_checked_without_tensorflow(exported: Path) -> None:
    import subprocess
    import sys

    source = (
        "import sys, pathlib, steel_training.model_files as files\n"
        f"data = pathlib.Path({str(exported / PB)!r}).read_bytes()\n"
        f"print(files.objection({PB!r}, data), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == "None False\n"
