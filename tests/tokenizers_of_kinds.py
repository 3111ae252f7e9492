"""Small tokenizers of the kinds that language models have, each with the decoder of its kind."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from tests.tiny_models import make_tokenizer

SPECIAL, PLAIN = "<|turn|>", "<think>"
"""Added tokens of each kind: one that has no text, one that has."""

_WORDS = ["▁", "▁▁", "▁▁▁▁", "▁the", "▁time", "▁water", "▁return", "a", "s", "er", ".", "x"]
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level() -> Tokenizer:
    """As GPT-2's, Llama 3's and Qwen's."""
    return _with_added(make_tokenizer())


def llama2() -> Tokenizer:
    """As Llama 2's and Phi-3's: a space is put before each text and taken away again."""
    tokenizer = _pieces(
        decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return tokenizer


def gemma() -> Tokenizer:
    """As Gemma's: nothing is put before a text."""
    replace = decoders.Replace("▁", " ")
    tokenizer = _pieces(decoders.Sequence([replace, decoders.ByteFallback(), decoders.Fuse()]))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    return tokenizer


def metaspace(prepend_scheme: str, falls_back: bool = False) -> Tokenizer:
    """As T5's, XGLM's and, with bytes, newer conversions of SentencePiece."""
    decoder = decoders.Metaspace(prepend_scheme=prepend_scheme)
    tokenizer = _pieces(
        decoders.Sequence([decoders.ByteFallback(), decoder]) if falls_back else decoder
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme, split=False)
    return tokenizer


def word_piece() -> Tokenizer:
    """As BERT's: a space stands before each word, but not before a full stop."""
    words = ["[UNK]", "play", "##ing", "##s", "the", ".", ",", "'", "do", "n't", "water"]
    tokenizer = Tokenizer(models.WordPiece(_numbered(words), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _with_added(tokenizer)


def word_ends() -> Tokenizer:
    """As GPT-1's: the end of a word is marked, and is a space unless the text ends there."""
    pieces = ["<unk>", "the</w>", "water</w>", "wa", "ter</w>", ".</w>", "a", "b</w>"]
    tokenizer = Tokenizer(
        models.BPE(_numbered(pieces), [], unk_token="<unk>", end_of_word_suffix="</w>")
    )
    tokenizer.decoder = decoders.BPEDecoder()
    return _with_added(tokenizer)


def undecorated() -> Tokenizer:
    """Without a decoder: a space stands between any two tokens."""
    words = ["<unk>", "the", "water", "runs", "."]
    return _with_added(Tokenizer(models.WordLevel(_numbered(words), unk_token="<unk>")))


def ids_of(tokenizer: Tokenizer, pieces: Sequence[str]) -> list[int]:
    """Of tokens, or of characters whose bytes are tokens."""
    ids: list[int] = []
    for piece in pieces:
        token_id = tokenizer.token_to_id(piece)
        names = [piece] if token_id is not None else [_BYTES[byte] for byte in piece.encode()]
        ids += [tokenizer.token_to_id(name) for name in names]
    return ids


def _pieces(decoder: decoders.Decoder) -> Tokenizer:
    vocabulary = _numbered(["<unk>", *_BYTES, *_WORDS])
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.decoder = decoder
    return _with_added(tokenizer)


def _with_added(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.add_special_tokens([AddedToken(SPECIAL, special=True)])
    tokenizer.add_tokens([AddedToken(PLAIN, special=False)])
    return tokenizer


def _numbered(tokens: Sequence[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


KINDS = {
    "byte level": byte_level(),
    "llama 2": llama2(),
    "gemma": gemma(),
    "metaspace first": metaspace("first"),
    "metaspace always": metaspace("always"),
    "metaspace never": metaspace("never"),
    "metaspace and bytes": metaspace("first", falls_back=True),
    "word piece": word_piece(),
    "word ends": word_ends(),
    "undecorated": undecorated(),
}

FALLS_BACK = ["llama 2", "gemma", "metaspace and bytes"]
"""The kinds that write unknown characters as bytes."""
