#!/usr/bin/env python3
"""Makes tests/fixtures/tokenizers/: a small tokenizer of every kind, as published ones are built, with
texts, their ids and what those decode to, by the real libraries (requirements-tokenizers.txt).

    python3 scripts/make_tokenizer_cases.py tests/fixtures/tokenizers
    python3 scripts/make_tokenizer_cases.py --of FOLDER OUT    # of every tokenizer.json in a folder's folders
"""
import json
import os
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

CORPUS = ["The quick brown fox jumps over the lazy dog. It's 12:34, isn't it? They'll don't we're I'm",
          "def main(argc, argv):\n    return [x ** 2 for x in range(10)]\n\n\tif (a && b) || !c { d += 1; }",
          "naïve café résumé, Ångström; straße; déjà vu — “quoted” ‘words’ … 3.14159 2,718",
          "한국어 문장입니다. 日本語の文章、東京。 中文句子，测试。 Привет, мир! שלום עולם مرحبا",
          "हिन्दी भाषा ภาษาไทย สวัสดี 👍🏽 👨‍👩‍👧 🎉 e\u0301 a\u0323\u0307",
          "Hello hello HELLO world World low lower lowest new newer newest wide wider widest"] * 3

TEXTS = ["", " ", "  ", "a", "Hello world", "  leading and trailing  ", "it's WE'RE I'LL they'd 'ſ",
         "a\tb\r\nc\n\n  d \n", "12345 1 22 333 4444 ½ ² Ⅷ ٣", "naïve café e\u0301 \u1100\u1161\u11a8 가\u11a7 ﬁ",
         "한국어 日本語 中文 ภาษาไทย हिन्दी", "👍🏽 👨‍👩‍👧 🏳️‍🌈 𝔘 𠀀", "\u00a0\u3000\u2028\u200b\u180e\u0085x",
         "\x00\x01\x7f", "<s>a</s> <s> <mask>b<pad>", "Foo foo FOO bar  <mask>  x<mask>y", "İstanbul ẞ ΣΑΣ",
         "!?.,;:()[]{} --- ___", "x" * 60, "ab" * 40 + " " * 30 + "1" * 20, "lowest newest widest unlowest",
         "\uaa2e\u08cb\u1ac0 \U00010d50 \U0001e045\u2df5 \u32ff\ua7cb \U00031350", "a.b!c  d", "▁a ▁▁b <0x41>", "Ⓐword wordⒷ_x-y"]

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<unk>", "<s>", "</s>"]


def noise(r):
    pools = ["abc XYZ", " \n\t\r", "0123456789", "'sdtm", "éüñ", "\u0300\u0323", "中日한글가", "กขา้", "🙂👍🏽\u200d",
             "\u00a0\u3000", "!?.,;:", "ДжЯя", "ǅʰ", "½Ⅷ", "<s>", "</s>", "▁", "क्षि", "_-"]
    out = ""
    for _ in range(r.randrange(1, 25)):
        pool = r.choice(pools)
        out += pool if r.random() < .15 else "".join(r.choice(pool) for _ in range(r.randrange(1, 4)))
    return out


def byte_bpe(pre, size=420, **options):
    t = Tokenizer(models.BPE(**options))
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def sentence_bpe(size=420):
    """BPE over characters with byte fallback, as converted from SentencePiece."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, limit_alphabet=60,
        special_tokens=SPECIAL + ["<0x%02X>" % b for b in range(256)]))
    return t


def bos(t):
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return t


def sequence(*steps):
    return pre_tokenizers.Sequence(list(steps))


def plain_bytes():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def edited(t, **members):
    """The same with members of its model changed."""
    whole = json.loads(t.to_str())
    whole["model"].update(members)
    return Tokenizer.from_str(json.dumps(whole))


def gpt2():
    return byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False))


def gpt2_prefix():
    return byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=True))


def smollm2():
    return byte_bpe(sequence(pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)))


def llama3():
    t = byte_bpe(sequence(split(GPT4 % "{1,3}"), plain_bytes()))
    return bos(edited(t, ignore_merges=True))


def qwen2():
    t = byte_bpe(sequence(split(GPT4 % ""), plain_bytes()))
    t.normalizer = normalizers.NFC()
    return t


def qwen3_5():
    pattern = (GPT4 % "").replace(r"\p{L}+", r"[\p{L}\p{M}]+").replace(r"\s\p{L}\p{N}", r"\s\p{L}\p{M}\p{N}")
    t = byte_bpe(sequence(split(pattern), plain_bytes()))
    t.normalizer = normalizers.NFC()
    return t


def o200k():
    return byte_bpe(sequence(split(O200K), plain_bytes()))


def deepseek():
    return byte_bpe(sequence(
        split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"),
        split(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""),
        plain_bytes()))


def llama2():
    t = sentence_bpe()
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    return bos(t)


def gemma():
    t = sentence_bpe()
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("  ", normalized=False)])
    return bos(t)


def mistral():
    t = sentence_bpe()
    t.normalizer = None
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
    t.decoder = decoders.Metaspace("▁", "first")
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    return bos(t)


def metaspace(scheme):
    def make():
        t = sentence_bpe()
        t.normalizer = None
        t.pre_tokenizer = pre_tokenizers.Metaspace("▁", scheme, split=True)
        t.decoder = decoders.Metaspace("▁", scheme)
        return t
    return make


def unigram(byte_fallback):
    def make():
        t = Tokenizer(models.Unigram())
        t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        t.decoder = decoders.Metaspace()
        extra = ["<0x%02X>" % b for b in range(256)] if byte_fallback else []
        t.train_from_iterator(CORPUS, trainers.UnigramTrainer(
            vocab_size=200 + len(extra), special_tokens=SPECIAL + extra, unk_token="<unk>", show_progress=False))
        if byte_fallback:
            t = edited(t, byte_fallback=True)
            t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        return t
    return make


def bert():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return t


def words(pre, decoder=None, normalizer=None):
    def make():
        t = Tokenizer(models.WordLevel(unk_token="<unk>"))
        t.pre_tokenizer = pre()
        if normalizer:
            t.normalizer = normalizer()
        t.train_from_iterator(CORPUS, trainers.WordLevelTrainer(
            vocab_size=150, special_tokens=SPECIAL, show_progress=False))
        if decoder:
            t.decoder = decoder()
        return t
    return make


def clip():
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = sequence(split(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "removed", True),
                               pre_tokenizers.ByteLevel(add_prefix_space=False))
    t.decoder = decoders.BPEDecoder("</w>")
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=700, special_tokens=SPECIAL, end_of_word_suffix="</w>", show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def prefixed():
    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.decoder = decoders.WordPiece("##", cleanup=False)
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=350, special_tokens=SPECIAL, continuing_subword_prefix="##", show_progress=False))
    return t


def added_tokens():
    t = gpt2()
    t.normalizer = normalizers.Lowercase()
    t.add_tokens([AddedToken("Foo", normalized=True), AddedToken("bar", single_word=True),
                  AddedToken("word", single_word=True, normalized=True)])
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True), AddedToken("<pad>", rstrip=True),
                          AddedToken("\n", normalized=False)])
    return t


def behaviors():
    t = byte_bpe(sequence(split(r"\d", "contiguous"), pre_tokenizers.Split("a", "merged_with_next"),
                          pre_tokenizers.Split(".", "merged_with_previous"), pre_tokenizers.Punctuation("removed"),
                          pre_tokenizers.Digits(False), plain_bytes()))
    return t


def charsmap():
    """A table of SentencePiece's with a few rules."""
    import io
    import tempfile

    import sentencepiece
    rules = [("A", "a"), ("e\u0301", "é"), ("ﬁ", "fi"), ("\u200b", ""), ("\t", " "), ("한", "han"), ("👍🏽", "up"), ("...", "…")]
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
        for old, new in rules:
            f.write("\t".join(" ".join("%X" % ord(c) for c in text) for text in (old, new)) + "\n")
        f.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS), model_writer=model, vocab_size=150, hard_vocab_limit=False,
            normalization_rule_tsv=f.name, minloglevel=3)
    return message_field(message_field(model.getvalue(), 3), 2)


def message_field(data, number):
    """The first field of that number of a protobuf message, which is bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        key = varint()
        if key & 7 == 2:
            n = varint()
            at += n
            if key >> 3 == number:
                return data[at - n:at]
        elif key & 7 == 0:
            varint()
        else:
            at += 4 if key & 7 == 5 else 8
    raise ValueError("no field %d" % number)


def t5():
    t = unigram(False)()
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap()), normalizers.Replace(Regex(" {2,}"), "▁")])
    return t


def forms():
    t = byte_bpe(plain_bytes())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.NFD(), normalizers.Lowercase()])
    return t


KINDS = {"t5": t5, "forms": forms,
         "gpt2": gpt2, "gpt2-prefix": gpt2_prefix, "smollm2": smollm2, "llama3": llama3, "qwen2": qwen2,
         "qwen3_5": qwen3_5, "o200k": o200k, "deepseek": deepseek, "llama2": llama2, "gemma": gemma,
         "mistral": mistral, "metaspace-always": metaspace("always"), "metaspace-never": metaspace("never"),
         "unigram": unigram(False), "unigram-bytes": unigram(True), "bert": bert, "clip": clip,
         "prefixed": prefixed, "added-tokens": added_tokens, "behaviors": behaviors,
         "words": words(pre_tokenizers.Whitespace),
         "words-ctc": words(pre_tokenizers.WhitespaceSplit, lambda: decoders.CTC("<s>", "|", True)),
         "words-accents": words(lambda: sequence(pre_tokenizers.CharDelimiterSplit("-"), pre_tokenizers.FixedLength(4)), None,
                                lambda: normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Nmt()]))}


def record(t, texts):
    for text in texts:
        case = {"text": text}
        for key, special, parse in (("ids", False, True), ("special", True, True), ("plain", False, False)):
            t.encode_special_tokens = not parse
            case[key] = t.encode(text, add_special_tokens=special).ids
        case["all"] = t.decode(case["special"], skip_special_tokens=False) if case["special"] else ""
        case["shown"] = t.decode(case["special"], skip_special_tokens=True) if case["special"] else ""
        for key, same in (("special", "ids"), ("plain", "ids")):
            if case[key] == case[same]:
                del case[key]
        if case["shown"] == case["all"]:
            del case["shown"]
        yield case


def write(folder, name, lines):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write("".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines))


def token(content, **flags):
    return {"__type": "AddedToken", "content": content, "lstrip": False, "rstrip": False,
            "single_word": False, "normalized": False, "special": True} | flags


def decoder_entry(content, **flags):
    entry = token(content, **flags)
    del entry["__type"]
    return entry


# Files beside a tokenizer.json (of gpt2 above) that say something of tokens.
CONFIGS = {
    "config-names": ({"bos_token": "<s>", "eos_token": token("</s>"), "pad_token": "[PAD]", "unk_token": None,
                      "additional_special_tokens": ["<mask>", "ab"], "image_token": "<image>",
                      "add_bos_token": True, "clean_up_tokenization_spaces": True}, None),
    "config-map": ({"eos_token": "</s>", "bos_token": "<s>"},
                   {"eos_token": {"content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False,
                                  "single_word": False}, "pad_token": "the",
                    "additional_special_tokens": ["x"]}),
    "config-decoder": ({"added_tokens_decoder": {"5": decoder_entry("<mask>", lstrip=True), "900": decoder_entry("[NEW]"),
                                                 "901": decoder_entry("foo", special=False, normalized=True)},
                        "eos_token": "[NEW]", "bos_token": "[BOS]", "mask_token": "<mask>",
                        "extra_special_tokens": ["bar"]},
                       {"eos_token": "<s>"}),
}


def write_config(folder, config, special_map):
    from transformers import PreTrainedTokenizerFast
    gpt2().save(os.path.join(folder, "tokenizer.json"), pretty=False)
    write(folder, "tokenizer_config.json", [config])
    if special_map:
        write(folder, "special_tokens_map.json", [special_map])
    t = PreTrainedTokenizerFast.from_pretrained(folder)
    names = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"]
    write(folder, "named.json", [{n: getattr(t, n + "_token_id") for n in names
                                  if getattr(t, n + "_token") is not None}])
    return t.backend_tokenizer


def main(out):
    for name, (config, special_map) in CONFIGS.items():
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        t = write_config(folder, config, special_map)
        texts = TEXTS + ["a  <mask> b[NEW]c [PAD] foo bar the ab x <image></s><s>"]
        write(folder, "cases.jsonl", record(t, texts))
        print(name, t.get_vocab_size())
    for name, make in KINDS.items():
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        t = make()
        write(folder, "tokenizer.json", [json.loads(t.to_str())])
        r = random.Random(name)
        write(folder, "cases.jsonl", record(t, TEXTS + [noise(r) for _ in range(12)]))
        print(name, t.get_vocab_size())


def record_others(source, out, texts=400):
    for name in sorted(os.listdir(source)):
        path = os.path.join(source, name, "tokenizer.json")
        if not os.path.isfile(path):
            continue
        folder = os.path.join(out, name)
        os.makedirs(folder)
        os.symlink(os.path.abspath(path), os.path.join(folder, "tokenizer.json"))
        t = Tokenizer.from_file(path)
        r = random.Random(name)
        own = [str(a.content) for a in list(t.get_added_tokens_decoder().values())[:400]]
        marked = [noise(r) + r.choice(own) + noise(r) + r.choice(own) for _ in range(texts // 4)] if own else []
        write(folder, "cases.jsonl", record(t, TEXTS + marked + [noise(r) for _ in range(texts)]))
        print(name, t.get_vocab_size())


if sys.argv[1] == "--of":
    record_others(*sys.argv[2:])
else:
    main(sys.argv[1])
