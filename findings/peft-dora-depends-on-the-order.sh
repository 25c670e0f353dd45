#!/bin/sh
# Surprise: with several active adapters peft's answer depends on their order, as soon as one of them is a
# trained DoRA.
#
# Active adapters are thought of as a sum of deltas, which has no order: set_adapter(["a", "b"]) would be
# set_adapter(["b", "a"]). It is so for plain LoRA. But a DoRA layer scales what it is given, the base's
# result and the deltas of the adapters before it (m / ||W + sBA|| - 1 of it is added), so that a plain
# adapter listed before it is scaled by the DoRA's magnitude and one listed behind it is not. A new DoRA
# hides this: its magnitude is that of its own weights, the factor is 1. Nothing is said.
#
# Installs the pinned packages into a temporary folder (some GB); fails when the behaviour is another.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.19.0 peft==0.21.2

"$dir/venv/bin/python" - <<'PYTHON'
import peft
import torch
from peft import LoraConfig, get_peft_model


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8, bias=False)

    def forward(self, x):
        return self.linear(x)


def config(**more):
    return LoraConfig(target_modules=["linear"], r=2, lora_alpha=4, init_lora_weights=False, **more)


torch.manual_seed(0)
model = get_peft_model(Model(), config(), adapter_name="plain")
model.add_adapter("dora", config(use_dora=True))
layer = model.base_model.model.linear
x = torch.randn(4, 8)


@torch.no_grad()
def delta(*adapters):
    model.base_model.set_adapter(list(adapters))
    return model(x) - layer.base_layer(x)


def far(a, b):
    return (a - b).abs().max().item()


print("torch", torch.__version__, "peft", peft.__version__)
for name, factor in (("a new DoRA", 1.0), ("its magnitude times 1.5", 1.5)):
    with torch.no_grad():
        layer.lora_magnitude_vector["dora"].weight.mul_(factor)
    alone = delta("plain") + delta("dora")
    behind = far(delta("dora", "plain"), alone)
    before = far(delta("plain", "dora"), alone)
    scaled = far(delta("plain", "dora"), alone + (factor - 1) * delta("plain"))
    print(f"{name}: from the sum of both alone: dora, plain {behind:.1e}; plain, dora {before:.1e}, "
          f"with the plain one scaled by {factor} {scaled:.1e}")
    assert behind < 1e-5 and scaled < 1e-5, "the behaviour has changed"
    assert (before > 0.01) == (factor != 1), "the behaviour has changed"
PYTHON
