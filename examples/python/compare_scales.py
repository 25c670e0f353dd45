"""Blocking calls, for scripts and notebooks: one question at several scales of an adapter.

    compare_scales.py MODEL.gguf ADAPTER
"""

import sys

from inference import LlamaCppProvider

model = LlamaCppProvider(sys.argv[1]).sync
print(model.load_adapter("style", sys.argv[2]))
question = [{"role": "user", "content": "What is rain?"}]
for scale in (0.0, 0.3, 0.6, 1.0):
    result = model.generate("", "", "style", 30, temperature=0.0, messages=question, adapter_scale=scale)
    print("%.1f  %s" % (scale, " ".join(result.text.split())))
model.unload_adapter("style")
