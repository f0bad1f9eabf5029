"""What a template may be at most, found before Jinja's parser sees it: it recurses, and its compiler computes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from jinja2 import Environment, TemplateSyntaxError

Fault = tuple[int, str]  # line from 1, and what is wrong there

MAX_SOURCE = 16_384  # characters; the shipped ones have a few hundred
MAX_TOKENS = 120  # of one tag
MAX_BRACKETS = 6
MAX_BLOCKS = 6
MAX_DIGITS = 12

_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_BEGINNINGS = ("variable_begin", "block_begin")
_WORDS = ("name", "operator", "string", "integer", "float")
_BLOCKS = ("if", "for")


def bound_faults(made: Environment, source: str) -> list[Fault]:
    """What of `source` is too much, too deep or cannot be seen; empty where it may be parsed."""
    if len(source) > MAX_SOURCE:
        return [(0, f"has {len(source):,} characters; a template has at most {MAX_SOURCE:,}")]
    hidden = hidden_faults(source)
    if hidden:
        return hidden
    try:
        return depth_faults([token for token in made.lex(source) if token[1] != "whitespace"])
    except TemplateSyntaxError as error:
        return [(error.lineno, error.message or "is no valid template")]


def hidden_faults(source: str) -> list[Fault]:
    """The first character that nobody would see, or that turns the text around."""
    for number, line in enumerate(source.split("\n"), start=1):
        for character in line.replace("\t", " "):
            if not character.isprintable() and character not in "\u00a0\u202f\u3000":
                return [(number, f"holds U+{ord(character):04X}, which cannot be seen; remove it")]
    return []


def depth_faults(tokens: list[tuple[int, str, str]]) -> list[Fault]:
    """The first tag that is too long, and the first place that is nested too deeply."""
    return [
        *_first(_long_tags(tokens)),
        *_first(_deep_brackets(tokens)),
        *_first(_deep_blocks(tokens)),
        *_digits(tokens),
    ]


def _first(faults: Iterator[Fault]) -> list[Fault]:
    return [fault for fault in [next(faults, None)] if fault is not None]


def _long_tags(tokens: list[tuple[int, str, str]]) -> Iterator[Fault]:
    count = 0
    for line, kind, _ in tokens:
        count = count + 1 if kind in _WORDS else 0
        if count > MAX_TOKENS:
            yield line, f"a tag of more than {MAX_TOKENS} words and signs; say it in several"


def _deep_brackets(tokens: list[tuple[int, str, str]]) -> Iterator[Fault]:
    depth = 0
    for line, kind, text in tokens:
        if kind in _BEGINNINGS:
            depth = 0
        elif kind == "operator":
            depth += (text in _OPENING) - (text in _CLOSING)
        if depth > MAX_BRACKETS:
            yield line, f"brackets more than {MAX_BRACKETS} deep; say it in several tags"


def _deep_blocks(tokens: list[tuple[int, str, str]]) -> Iterator[Fault]:
    depth = 0
    for (_, before, _), (line, kind, text) in pairwise(tokens):
        if before == "block_begin" and kind == "name":
            depth += (text in _BLOCKS) - (text.removeprefix("end") in _BLOCKS and text.startswith("end"))
        if depth > MAX_BLOCKS:
            yield line, f"blocks more than {MAX_BLOCKS} deep"


def _digits(tokens: list[tuple[int, str, str]]) -> list[Fault]:
    long = ((line, text) for line, kind, text in tokens if kind in ("integer", "float") and len(text) > MAX_DIGITS)
    return [(line, f"a number of {len(text):,} digits; templates word and never compute") for line, text in long][:1]
