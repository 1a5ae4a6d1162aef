"""The table of a network's layers: output shapes and numbers of parameters."""

from __future__ import annotations

from typing import Any

from minigan.autograd import Tensor, no_grad
from minigan.creation import zeros


def summary(module: Any, input_shape: tuple[int, ...]) -> str:
    """See ``Module.summary``, which calls this; so Module itself cannot be imported here."""
    first = next(module.parameters(), None)
    x = zeros(2, *input_shape)
    if first is not None:
        x = x.to(first.dtype)
    rows = [("layer", "output", "parameters")]
    for name, layer, shape in _run(module, x):
        count = sum(p.numel() for p in layer._own_parameters().values())
        rows.append((f"{name} {type(layer).__name__}".strip(), shape, f"{count:,}"))
    total = sum(p.numel() for p in module.parameters())
    rows.append(("total", "", f"{total:,}"))

    names, shapes, counts = ([len(row[i]) for row in rows] for i in range(3))
    return "\n".join(
        f"{name:<{max(names)}}  {shape:<{max(shapes)}}  {count:>{max(counts)}}"
        for name, shape, count in rows
    )


def _run(module: Any, x: Tensor) -> list[tuple[str, Any, str]]:
    """Call the module once, and note each layer's output shape as text, in the order of calls."""
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if layer._own_parameters() or not any(layer.children())
    }
    was_training = [(m, m.training) for m in module.modules()]
    seen: list[tuple[str, Any, str]] = []

    def watch(name: str, layer: Any) -> None:
        forward = layer.forward

        def watched(*args: Any, **kwargs: Any) -> Any:
            y = forward(*args, **kwargs)
            shape = f"(N, {', '.join(map(str, y.shape[1:]))})" if isinstance(y, Tensor) else "-"
            seen.append((name, layer, shape))
            return y

        layer.forward = watched  # on the instance: it hides the method until it is deleted

    try:
        for name, layer in layers.items():
            watch(name, layer)
        module.eval()
        with no_grad():
            module(x)
    finally:
        for layer in layers.values():
            vars(layer).pop("forward", None)
        for m, mode in was_training:
            m.training = mode
    return seen
