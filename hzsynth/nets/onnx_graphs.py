"""Turns a network into an ONNX graph (by torch.export, no TorchScript)."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from hzsynth.core.errors import InputError
from hzsynth.core.onnx_files import OPSET


def onnx_graph(
    network: nn.Module, examples: Mapping[str, torch.Tensor], outputs: Sequence[str], *, name: str
) -> Any:
    """The graph of a network; the batch is dynamic.

    Args:
        network: in evaluation mode, on the CPU.
        examples: input name -> a tensor with a batch of at least 2 in front.
        outputs: names of what it returns.
        name: for messages.

    Returns:
        An ``onnx.ModelProto`` without metadata; nothing in it names a place on this computer.

    Raises:
        InputError: onnx or onnxscript is not installed, or the network cannot be exported.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed, and nothing can be exported without it: "
            "pip install 'hzsynth[export]'"
        ) from None
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings(), torch.no_grad():
        # torch's exporter warns about its own deprecated calls.
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                network,
                tuple(examples.values()),
                dynamo=True,
                input_names=list(examples),
                output_names=list(outputs),
                dynamic_shapes=tuple({0: batch} for _ in examples),
                opset_version=OPSET,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{name} cannot be exported: {reason}") from error
    assert program is not None
    proto = program.model_proto
    # The exporter notes the source line of every node, with the user's folders.
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.metadata_props[:]
    return proto
