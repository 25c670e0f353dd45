#!/bin/sh
# `inference tokenize`, `detokenize` and `render`: bytes in, the same bytes out.
. "${0%/*}/lib.sh"

there() { # BYTES as printf has them, ARGUMENT...: ids of these bytes in $work/out
    printf "$1" >"$work/bytes"
    shift
    input=$work/bytes
    expect_ok tokenize -m "$model" "$@"
    input=/dev/null
}

# ---- there and back, byte for byte
for bytes in 'hi there' '' 'a\000b\000' 'line\n' '\r\n\n' '  two  spaces ' 'a ! b , c . d ? it '\''s n'\''t' 'Gr\303\274\303\237e \360\237\230\200' \
    '\357\273\277bom' '\342\200\250' '%%s %%n'; do
    there "$bytes" --no-special
    cp "$work/out" "$work/ids"
    input=$work/ids
    expect_ok detokenize -m "$model"
    input=/dev/null
    cmp -s "$work/out" "$work/bytes" || fail "'$bytes' comes back as another text"
done
there 'a\000b'
check 'len(r) == 3' 'a NUL byte is a token'
python3 -c 'import sys; sys.stdout.write("wort \u00e9\n" * 20000)' >"$work/bytes"
input=$work/bytes
expect_ok tokenize -m "$model"
cp "$work/out" "$work/ids"
input=$work/ids
expect_ok detokenize -m "$model"
cmp -s "$work/out" "$work/bytes" || fail 'a long text comes back as another'
for bytes in '\377' 'a\300\242' '\355\240\200' 'cut \303'; do
    printf "$bytes" >"$work/bytes"
    input=$work/bytes
    expect_error 3 'text: is not valid UTF-8' tokenize -m "$model"
done
# Every token, and bytes that are no UTF-8 by themselves, out as they are.
python3 -c 'print(list(range(256)))' >"$work/ids"
input=$work/ids
expect_ok detokenize -m "$model"
python3 -c 'import sys; sys.exit(sorted(open(sys.argv[1], "rb").read()) != list(range(256)))' "$work/out" ||
    fail 'the 256 byte tokens are not the 256 bytes'

# ---- special tokens
there '<|im_start|>hi'
check 'len(r) < 6' 'a special token in the text is one token'
cp "$work/out" "$work/ids"
input=$work/ids
expect_output '<|im_start|>hi' detokenize -m "$model"
expect_output 'hi' detokenize -m "$model" --skip-special

# ---- a line each
printf '"hi"\n"a\\u0000b\\n"\n\n"Gr\303\274\303\237e \\ud83d\\ude00"\n""\n' >"$work/lines"
input=$work/lines
expect_ok tokenize -m "$model" --jsonl --no-special
check 'len(lines) == 4 and lines[3] == [] and len(lines[1]) == 4'
cp "$work/out" "$work/ids"
input=$work/ids
expect_ok detokenize -m "$model" --jsonl
check 'lines == ["hi", "a\0b\n", "Gr\u00fc\u00dfe \U0001f600", ""]'
for line in 'hi' '5' '["hi"]' '"hi' '"\ud800"' '"a" "b"'; do
    printf '"ok"\n%s\n' "$line" >"$work/lines"
    input=$work/lines
    run tokenize -m "$model" --jsonl
    head -n 1 "$work/out" >"$work/first"
    [ "$(wc -l <"$work/out")" -eq 1 ] || fail "$line: not the one line before it"
    : >"$work/out"
    is_error 3 'line 2: not a JSON string' "$line"
done
printf '[104,105]\n[195]\n' >"$work/ids"
input=$work/ids
run detokenize -m "$model" --jsonl
: >"$work/out"
is_error 3 'line 2: the bytes of these tokens are not UTF-8' 'half a letter'

# ---- ids that are none
for ids in '[99999]' '[-1]' '[1.5]' '["1"]' '{}' '1' '' '[1' '[2147483648]' '[1e3]' '[null]' 'x'; do
    printf '%s' "$ids" >"$work/ids"
    input=$work/ids
    expect_error 3 'outside the vocabulary|not a JSON array of ids|is no token id' detokenize -m "$model"
done
printf '[]' >"$work/ids"
expect_output '' detokenize -m "$model"
printf '\n[ 104 , 105 ]\n' >"$work/ids"
expect_output 'hi' detokenize -m "$model"

# ---- render
render() { # MESSAGES ARGUMENT...
    printf '%s' "$1" >"$work/messages"
    shift
    input=$work/messages
    expect_ok render -m "$model" "$@"
}
render '[{"role":"user","content":"hi\u0000 Grüße"}]'
printf '<|im_start|>user\nhi\000 Grüße<|im_end|>\n<|im_start|>assistant\n' >"$work/expected"
cmp -s "$work/out" "$work/expected" || fail 'render: another text'
render '[{"role":"user","content":"hi"}]' --no-generation-prompt
printf '<|im_start|>user\nhi<|im_end|>\n' >"$work/expected"
cmp -s "$work/out" "$work/expected" || fail 'render --no-generation-prompt: another text'
printf '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nIt is 1.0' >"$work/expected"
render '[{"role":"user","content":"hi"},{"role":"assistant","content":"It is 1.0"}]' --continue-final-message
cmp -s "$work/out" "$work/expected" || fail 'render --continue-final-message: another text'
render ' {"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"It is 1.0"}],"n":1.0}' --continue-final-message
cmp -s "$work/out" "$work/expected" || fail 'render --continue-final-message of an object: another text'
render '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"It is 1.0"}],"continue_final_message":true}' --no-generation-prompt
cmp -s "$work/out" "$work/expected" || fail 'render of an object that continues: another text'
printf '%s' '{"messages":[{"role":"user","content":"hi"}],"continue_final_message":true}' >"$work/messages"
input=$work/messages
expect_error 3 'continue-final-message: the text ends within the last message' render -m "$model"
printf '<|im_start|>user\nhi<|im_end|>\n' >"$work/expected"
render '{"messages":[{"role":"user","content":"hi"}],"bos_token":"x","own":{"deep":[1]}}'
render '[{"role":"user","content":[{"type":"text","text":"h"},{"type":"text","text":"i"}]}]' --no-generation-prompt
cmp -s "$work/out" "$work/expected" || fail 'render: text parts are not their text'
with_template '{% for m in messages %}{% for p in m.content %}<{{ p.text }}>{% endfor %}{% endfor %}' "$work/lists.gguf"
printf '%s' '[{"role":"user","content":[{"type":"text","text":"h"},{"type":"text","text":"i"}]},{"role":"user","content":"x"}]' >"$work/messages"
input=$work/messages
expect_output '<h><i><x>' render -m "$work/lists.gguf"
printf '%s' '[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]' >"$work/messages"
expect_error 5 'messages\[0\]: content has a part of type "image_url"' render -m "$model"
for messages in '' '[]' '{"messages":[]}' '5' '"x"' '{}' '[5]' '{"messages":5}' '[{"role":"user","content":"x"}' '[{"content":"x"}]' \
    '[{"role":"user"}]' '[{"role":"user","content":null}]' \
    '[{"role":"user","content":{"a":1}}]' '[{"role":"user","content":5}]' '[{"role":"user","content":["x"]}]'; do
    printf '%s' "$messages" >"$work/messages"
    expect_error 3 'messages|role' render -m "$model"
done
printf '[{"role":"user","content":"hi"},\n{"role":"user","content":"hi","role":"user"}]' >"$work/messages"
expect_error 3 '^inference: messages: line 2 column 31: a key stands twice' render -m "$model"
printf '{"messages":[],"a":1,"a":1}' >"$work/messages"
expect_error 3 '^inference: messages: line 1 column 22: a key stands twice' render -m "$model"
printf '[{"role":"user","content":"\377"}]' >"$work/messages"
expect_error 3 'messages: not JSON.*not valid UTF-8' render -m "$model"
input=/dev/null

# ---- no weights are needed, and the settings of one's own
expect_usage 'the input comes from standard input' tokenize -m "$model" hi
expect_usage 'unknown option --jsonl' render --jsonl
expect_usage 'unknown option --no-special' detokenize --no-special
expect_error 5 'vllm' tokenize -p vllm
expect_error 8 'none' tokenize -m "$work/none.gguf"
expect_error 9 '.' render -m "$INFERENCE_SOURCE_DIR/README.md"
LLAMACPP_MODEL_PATH=$model
export LLAMACPP_MODEL_PATH
expect_output '[]
' tokenize -p llamacpp --no-special

finish
