#!/bin/sh
# What transformers and PEFT compute, through the command: tests/parity/cases. tests/parity/refused.txt
# names what is refused there, and must be.
set -u
unset INFERENCE_PROVIDER TRANSFORMERS_MODEL_NAME
LC_ALL=C.UTF-8
export LC_ALL
parity=$INFERENCE_SOURCE_DIR/tests/parity
exec python3 -B "$INFERENCE_SOURCE_DIR/scripts/parity.py" --inference "$INFERENCE" \
    --refused "$parity/refused.txt" "$parity/cases"
