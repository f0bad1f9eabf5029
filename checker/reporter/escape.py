"""Values written so that a reader shows them as they are: no link, mention, formatting, HTML or block from data. Pure.

A rendered text carries its values between marks; they are escaped once it is known where each stands: in a code span,
in which nothing is read as markup, or in running text.
"""

from __future__ import annotations

import re

from checker.units import plain

SLACK = "slack"
MARKDOWN = "markdown"
PLAIN = "plain"

# Control characters: `plain` leaves none in a value, and a template may not hold any.
OPEN, COMMAND, CLOSE = "\x02", "\x05", "\x03"
_MARKED = re.compile(f"{OPEN}({COMMAND}?)([^{CLOSE}]*){CLOSE}")

_EDGE_UNDERSCORE = r"(?<![^\W_])_|_(?![^\W_])"  # inside a word it formats nothing
# A value may stand right behind another one, so that each half of `://` is one that links.
_LINKS = r"@|#(?=\w|$)|(?<!\w):(?=[\w+'-]+:)|:(?=/)|^//"
# The dot before the last name of a host; the files of a project are no hosts.
_HOSTS = r"(?<=[wW]{3})\.|(?<=\w)\.(?=(?:[^\W\d_]{2,}|xn--[\w-]+)(?![\w-]|\.\w))(?!(?:sql|j2|ya?ml|jsonl?|gz|zst|md)\b)"
_LINKING = re.compile(rf"{_LINKS}|{_HOSTS}|(?<=mailto):|(?<=xmpp):")
_FORMATTING = re.compile(rf"{_EDGE_UNDERSCORE}|[*~`]")
_TWINS = {"*": "\u2217", "_": "\uff3f", "~": "\u223c", "`": "'"}
_QUOTING = re.compile(r"^(\s*)>")
_SYNTAX = re.compile(rf"{_EDGE_UNDERSCORE}|[\\`*\[\]~|$]")
_BLOCK = re.compile(r"^(\d*)([-+=:#.)])(?!\d)")
_EDGE_SPACES = re.compile(r"^ +| +$")
_BACKTICK = re.compile(r"(?<!\\)`")

# What would not be copied from a chat or a table as it was written, so that a command may not hold it bare.
LIVE_IN_COMMANDS = re.compile(rf"{_EDGE_UNDERSCORE}|[*~|]|{_LINKS}")


def marked(value: str, *, is_command: bool = False) -> str:
    """The value on one line, between marks that no template and no value can hold."""
    return f"{OPEN}{COMMAND if is_command else ''}{plain(value)}{CLOSE}"


def placed(text: str, markup: str) -> str:
    """`text` with each marked value escaped for `markup` and for where it stands."""
    return "\n".join(_placed_line(line, markup) for line in text.split("\n"))


def _placed_line(line: str, markup: str) -> str:
    words = _MARKED.sub("", line)
    ticks = len(_BACKTICK.findall(words))
    done, before, position = [], 0, 0
    for found in _MARKED.finditer(line):
        own = line[position : found.start()]
        before += len(_BACKTICK.findall(own))
        is_command, value = bool(found[1]), found[2]
        in_code = before % 2 == 1 and before < ticks
        done += [own, escaped(value, markup, in_code=in_code, is_command=is_command)]
        position = found.end()
    return "".join([*done, line[position:]])


def escaped(value: str, markup: str, *, in_code: bool = False, is_command: bool = False) -> str:
    """One value for `markup`. A command keeps its characters, so that it can be copied; it was made to be shown."""
    if markup == SLACK:
        return _for_slack(value, is_bare=in_code or is_command)
    if markup == MARKDOWN:
        return value.replace("`", "'") if in_code else _for_markdown(value, is_command=is_command)
    return value


def _for_slack(value: str, *, is_bare: bool) -> str:
    if is_bare:
        return _entities(value.replace("`", "'"))
    twinned = _FORMATTING.sub(lambda found: _TWINS[found[0]], unlinked(value))
    # at the start of a line Slack reads a quote from the entity as well
    return _entities(_QUOTING.sub("\\1\u203a", twinned))


def _for_markdown(value: str, *, is_command: bool) -> str:
    shown = _SYNTAX.sub(r"\\\g<0>", value if is_command else unlinked(value))
    shown = _BLOCK.sub(r"\1\\\2", _entities(shown))
    return _EDGE_SPACES.sub(lambda found: "&#32;" * len(found[0]), shown)


def unlinked(value: str) -> str:
    """`value` with what would link, mention or picture something in brackets: `[@]here`, `https[:]//a[.]example`."""
    return _LINKING.sub(lambda found: f"[{found[0]}]", value)


def _entities(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
