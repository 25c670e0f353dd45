"""Small tokenizers of the kinds that the published models have, made by the tokenizers library.

Four kinds: byte-level BPE with the expressions of Qwen, Llama 3 and GPT-2, and BPE over
characters with bytes to fall back to, as in what once were SentencePiece models (Llama 2, Mistral,
Phi-3: blanks become "▁" and one is put before the text; Gemma: none is put there).
"""

import json

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

VOCAB = 384
SPECIALS = ["<s>", "</s>", "<|user|>", "<|end|>"]
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

# Prompts, and what a tokenizer may stumble over.
TEXTS = [
    "The cat sat on the mat and the dog", "in the beginning there was nothing, then", "a hundred and one nights of rain",
    "She said that the others were there", "it is the end of the world as we know it", "Once upon a time in the west",
    "def f(x):\n    return x + 1\n", "if (a < b) { swap(&a, &b); }", "one two three four five six seven",
    "their answer to the riddle is on the next", "no one here gets out in time for tea", "When the rain is over we are on",
    "another one bites, and another one", "the heat of the stone, the tone of the hen", "to see the sea in the season",
    "10 + 20 = 30, 300 - 7 = 293", "it's a test; isn't it? They're here, we'll see.", "    four spaces, then\ttabs\t\tand more",
    "line one\nline two\n\n\nline five\r\nline six", "naïve café — “quoted” … 100 % ½", "日本語のテキスト и русский 한국어",
    "emoji 🙂👩‍🚀 and zero\u200bwidth", "UPPER lower MiXeD 12345 a1b2c3", "<|user|>hello<|end|>", "x<s>y</s> z",
    "  leading and trailing  ", "e\u0301 is not \u00e9", "a", "", " ", "\n", "ends in blanks   ",
    "the then there these they this that than thin thing",
]


def specials():
    return [AddedToken(token, special=True, normalized=False) for token in SPECIALS]


def train(tokenizer, **more):
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=specials(), show_progress=False, **more)
    tokenizer.train_from_iterator([text for text in TEXTS if text.isascii()] * 4, trainer)
    return tokenizer


def byte_level(expression, nfc, first):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    if expression:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(expression), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    if first:
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)])])
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def with_bytes(before):
    """BPE with bytes to fall back to: the library trains the pieces, the rest is put together here."""
    trained = tokenizers.Tokenizer(models.BPE())
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=200, show_progress=False)
    trained.train_from_iterator(TEXTS * 4, trainer)
    found = json.loads(trained.to_str())["model"]
    vocabulary = SPECIALS + ["<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    merges, known = [], set(vocabulary)
    singles = [token for token in found["vocab"] if token in "▁ abcdefghijklmnopqrstuvwxyzTSIO,.é日"]
    vocabulary += singles
    known |= set(singles)
    for left, right in found["merges"]:
        if len(vocabulary) < VOCAB and left in known and right in known and left + right not in known:
            vocabulary.append(left + right)
            known.add(left + right)
            merges.append((left, right))
    tokenizer = tokenizers.Tokenizer(models.BPE(
        vocab={token: number for number, token in enumerate(vocabulary)}, merges=merges, unk_token="<unk>",
        fuse_unk=True, byte_fallback=True))
    tokenizer.add_special_tokens(specials())
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if before else replace
    if not before:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           *([decoders.Strip(" ", 1, 0)] if before else [])])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)])
    return tokenizer


MAKERS = {
    "qwen": lambda: byte_level(QWEN, True, False),
    "llama3": lambda: byte_level(LLAMA3, False, True),
    "gpt2": lambda: byte_level(None, False, False),
    "sentencepiece": lambda: with_bytes(True),
    "gemma": lambda: with_bytes(False),
}


def write_tokenizer(folder, kind):
    """tokenizer.json and tokenizer_config.json; returns the tokenizer as the file has it."""
    tokenizer = MAKERS[kind]()
    content = json.loads(tokenizer.to_str())
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n",
                                           encoding="utf-8")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
              "clean_up_tokenization_spaces": False,
              "chat_template": "{% for m in messages %}{{ '<|user|>' + m['content'] + '<|end|>' }}{% endfor %}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
