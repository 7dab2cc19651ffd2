"""Matchers as Alertmanager knows them: ``severity="critical"``, ``!=``, ``=~``, ``!~``; read, tried and printed back.

A label that is absent has the empty value. Regular expressions are Go's (RE2, so that none can take for ever), anchored
at both ends, and ``.`` is no line feed. Source: Alertmanager `matcher/parse`, `pkg/labels`, `matcher/compat`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec
import re2

Operator = Literal["=", "!=", "=~", "!~"]
Syntax = Literal["either", "utf8", "classic"]
"""Which parser reads a text. ``either``: the UTF-8 one, but the classic one's reading counts where both give one and
they differ, and where only it gives one; that is Alertmanager's default."""

LONGEST_PATTERN: Final = 4096
"""Characters of a regular expression."""
_PATTERN_BYTES: Final = 2 * 1024 * 1024
"""Memory of one compiled expression; larger ones are refused."""
_LONGEST_REMEMBERED: Final = 256
"""Characters; whether an expression matches a longer value is found anew each time."""


class Matcher(msgspec.Struct, frozen=True, gc=False):
    """One condition on the value of one label. `Matcher.of` checks it, the constructor does not."""

    name: str
    op: Operator
    value: str

    @classmethod
    def of(cls, name: str, op: Operator, value: str) -> Matcher:
        """A checked matcher. Raises ValueError where the name is empty or the expression is none."""
        if not name:
            raise ValueError("expected the name of a label")
        if op in ("=~", "!~"):
            check_pattern(value)
        return cls(name, op, value)

    @property
    def is_regex(self) -> bool:
        """Whether the value is a regular expression."""
        return self.op in ("=~", "!~")

    @property
    def is_equal(self) -> bool:
        """Whether the value shall match, not differ."""
        return self.op in ("=", "=~")

    def matches(self, value: str) -> bool:
        """Whether a label with this value (absent: the empty one) satisfies it."""
        match self.op:
            case "=":
                return value == self.value
            case "!=":
                return value != self.value
            case "=~":
                return _fits(self.value, value)
            case "!~":
                return not _fits(self.value, value)

    def __str__(self) -> str:
        if any(character in _RESERVED or character in _SPACES for character in self.name):
            return f"{quoted(self.name)}{self.op}{quoted(self.value)}"
        escaped = self.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        return f'{self.name}{self.op}"{escaped}"'


Matchers = tuple[Matcher, ...]


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether the labels satisfy every matcher.

    >>> matches(parse_matchers('{severity=~"crit.*", team!="web"}'), {"severity": "critical"})
    True
    """
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def format_matchers(matchers: Sequence[Matcher]) -> str:
    """All in braces, as Alertmanager prints them.

    >>> format_matchers(parse_matchers("a=b,c=~d.*"))
    '{a="b",c=~"d.*"}'
    """
    return "{" + ",".join(str(matcher) for matcher in matchers) + "}"


# --- regular expressions ------------------------------------------------------------------------------------------

_options = re2.Options()
_options.log_errors = False
_options.max_mem = _PATTERN_BYTES


@functools.lru_cache(maxsize=16_384)
def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern, _options)


def check_pattern(pattern: str) -> None:
    """Raise ValueError where `pattern` is no regular expression of RE2, or too large a one."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"the expression has {len(pattern)} characters, at most {LONGEST_PATTERN} are read")
    try:
        _compiled(pattern)
    except re2.error as wrong:
        reason = wrong.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"bad regular expression {pattern!r}: {text}") from None
    except UnicodeEncodeError:
        raise ValueError("bad regular expression: expected Unicode text") from None


def _fits(pattern: str, value: str) -> bool:
    return _remembered(pattern, value) if len(value) <= _LONGEST_REMEMBERED else _tried(pattern, value)


def _tried(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None


_remembered = functools.lru_cache(maxsize=65_536)(_tried)

# --- reading ------------------------------------------------------------------------------------------------------

_SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Go's `unicode.IsSpace`."""
_RESERVED: Final = "{}!=~,\\\"'`"
_TOKEN = re.compile(
    rf"(?P<space>[{_SPACES}]+)|(?P<open>\{{)|(?P<close>\}})|(?P<comma>,)|(?P<operator>!=|!~|=~|=)"
    rf'|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<plain>[^{_SPACES}{re.escape(_RESERVED)}]+)',
    re.DOTALL,
)
_CLASSIC = re.compile(r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))|([^\\]+)", re.DOTALL)
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


def parse_matchers(text: str, syntax: Syntax = "either") -> Matchers:
    """The matchers of a text, with or without braces; none of an empty one. Raises ValueError with the place."""
    if syntax == "utf8":
        return _read_utf8(text)
    if syntax == "classic":
        return _read_classic(text)
    try:
        modern = _read_utf8(text)
    except ValueError:
        return _read_classic(text)
    try:
        classic = _read_classic(text)
    except ValueError:
        return modern
    return classic


def parse_matcher(text: str, syntax: Syntax = "either") -> Matcher:
    """The one matcher of a text, without braces. Raises ValueError with the place."""
    if syntax != "classic" and (text.startswith("{") or text.endswith("}")):
        raise ValueError(f"unexpected open or close brace: {text}")
    if syntax == "classic":
        return _one_classic(text)
    try:
        modern = _only(_read_utf8(text))
    except ValueError:
        if syntax == "utf8":
            raise
        return _one_classic(text)
    if syntax == "utf8":
        return modern
    try:
        return _one_classic(text)
    except ValueError:
        return modern


def _only(matchers: Matchers) -> Matcher:
    if len(matchers) != 1:
        raise ValueError("no matchers" if not matchers else f"expected 1 matcher, found {len(matchers)}")
    return matchers[0]


class _Tokens:
    """The tokens of a text, one to look at and take at a time."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens_of(text), ("end", "", len(text))]
        self._next = 0

    def peek(self) -> str:
        return self._tokens[self._next][0]

    def take(self, *kinds: str, wanted: str) -> tuple[str, str, int]:
        kind, text, column = token = self._tokens[self._next]
        if kind not in kinds:
            found = "end of input" if kind == "end" else f"unexpected {text}"
            raise ValueError(f"{column}:{column + len(text)}: {found}: {wanted}")
        self._next += 1
        return token


def _tokens_of(text: str) -> Iterable[tuple[str, str, int]]:
    column = 0
    while column < len(text):
        found = _TOKEN.match(text, column)
        if found is None:
            reason = 'missing end "' if text[column] == '"' else "invalid input"
            raise ValueError(f"{column}:{len(text)}: {text[column:]}: {reason}")
        assert found.lastgroup is not None
        if found.lastgroup != "space":
            yield found.lastgroup, found.group(), column
        column = found.end()


def _read_utf8(text: str) -> Matchers:
    tokens, read = _Tokens(text), []
    braced = tokens.peek() == "open"
    if braced:
        tokens.take("open", wanted="expected opening brace")
    while tokens.peek() not in ("close", "end"):
        name = _text(tokens.take("plain", "quoted", wanted="expected label name"))
        _, op, _ = tokens.take("operator", wanted="expected an operator such as '=', '!=', '=~' or '!~'")
        value = _text(tokens.take("plain", "quoted", wanted="expected label value"))
        read.append(Matcher.of(name, op, value))  # type: ignore[arg-type]
        if tokens.peek() not in ("close", "end"):
            tokens.take("comma", wanted="expected a comma or close brace")
    if braced:
        tokens.take("close", wanted="expected close brace")
    tokens.take("end", wanted="expected end of input" if braced else "expected opening brace")
    return tuple(read)


def _text(token: tuple[str, str, int]) -> str:
    kind, text, column = token
    if kind == "plain":
        return text
    try:
        return _unquoted(text[1:-1])
    except ValueError:
        raise ValueError(f"{column}:{column + len(text)}: {text}: invalid input") from None


def _unquoted(text: str) -> str:
    """What Go's `strconv.Unquote` makes of the text between double quotes."""
    if "\n" in text:
        raise ValueError("a line feed")
    parts: list[bytes] = []
    for byte, octal, short, long, letter, plain in _ESCAPE.findall(text):
        if plain:
            parts.append(plain.encode())
        elif letter:
            if letter not in _SHORT:
                raise ValueError("an unknown escape")
            parts.append(_SHORT[letter].encode())
        elif byte or octal:
            parts.append(bytes([int(byte, 16) if byte else int(octal, 8)]))
        else:
            parts.append(chr(int(short or long, 16)).encode())
    return b"".join(parts).decode()


def _read_classic(text: str) -> Matchers:
    """Comma-separated parts; a comma between double quotes separates nothing."""
    text = text.removeprefix("{").removesuffix("}")
    parts, start, quoted, escaped = [], 0, False, False
    for place, character in enumerate(text):
        if character == "," and not quoted:
            parts.append(text[start:place])
            start = place + 1
        elif character == '"' and not escaped:
            quoted = not quoted
        escaped = character == "\\" and not escaped
    if last := text[start:].strip(_SPACES):
        parts.append(last)
    return tuple(_one_classic(part) for part in parts)


def _one_classic(text: str) -> Matcher:
    found = _CLASSIC.fullmatch(text)
    if found is None:
        raise ValueError(f"bad matcher format: {text}")
    name, op, raw = found.group(1), found.group(2), found.group(3).strip("\t\n\f\r ")
    quoted = raw.startswith('"')
    body = raw[1:] if quoted else raw
    value, escaped, closed = [], False, not quoted
    for place, character in enumerate(body):
        last = place == len(body) - 1
        if escaped:
            escaped = False
            value.append({"n": "\n", '"': '"', "\\": "\\"}.get(character, "\\" + character))
        elif character == "\\" and not last:
            escaped = True
        elif character == '"':
            if closed or not last:
                raise ValueError(f"matcher value contains unescaped double quote: {raw}")
            closed = True
        else:
            value.append(character)
    if not closed:
        raise ValueError(f"matcher value contains unescaped double quote: {raw}")
    return Matcher.of(name, op, "".join(value))  # type: ignore[arg-type]


def quoted(text: str) -> str:
    """What Go's `strconv.Quote` makes of a text."""
    back = {character: f"\\{letter}" for letter, character in _SHORT.items()}
    return '"' + "".join(back.get(character) or _printable(character) for character in text) + '"'


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
