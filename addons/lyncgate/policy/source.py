"""YAML text → plain data in which every value knows its line and column.

We read YAML's events and build the data ourselves, for three reasons. A file that decides who may reach
what must not be read in two ways, so duplicate keys, tags and a second document are refused instead of
resolved. An alias may not multiply (billion laughs) or contain itself, so what aliases expand to is
counted. And the words are those of YAML 1.2, as editors read them: `off` and `no` are text, `12:30` is
not a number in base 60; only true, false, null and decimal numbers are special.

PyYAML's Python parser is used on purpose, not libyaml's: its messages are the same on every machine, and
the text is bounded.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import yaml
from yaml.reader import Reader

from lyncgate.policy.problem import Key, Mark, show_value

MAX_TEXT = 256 * 1024  # characters
MAX_DEPTH = 24  # mappings and lists inside each other
MAX_NODES = 50_000  # values after every alias was expanded
MAX_ANCHORS = 100

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,17}\.[0-9]{1,17}")
_WORDS: Mapping[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """`data`: None, bool, int, float, str, list and dict (with str keys) only.

    `values` and `keys`: where each value and each mapping key stands, by path; an aliased value
    stands where its anchor is.
    """

    data: object
    values: Mapping[Key, Mark]
    keys: Mapping[Key, Mark]
    duplicates: tuple[tuple[Mark, Key], ...] = ()  # keys given twice; the first one was kept


class SourceError(Exception):
    """The text is no YAML that we read; there is no data to go on with."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


@dataclasses.dataclass(slots=True)
class _Node:
    """A value with its place. `items` are the children of a mapping or list, `size` counts all below."""

    mark: Mark
    scalar: object = None
    items: list[tuple[str | int, Mark, _Node]] | None = None
    mapping: bool = False
    size: int = 1
    duplicates: list[tuple[Mark, str]] = dataclasses.field(default_factory=list)


def parse(text: str) -> Document:
    """Raises SourceError for text that is not one bounded YAML document."""
    if len(text) > MAX_TEXT:
        raise SourceError(Mark(1, 1), f"found {len(text)} characters; allowed: at most {MAX_TEXT}")
    if odd := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        column = odd.start() - text.rfind("\n", 0, odd.start())
        character = f"U+{ord(odd.group()):04X}"
        raise SourceError(Mark(line, column), f"found the character {character}; allowed: printable text")
    loader = yaml.SafeLoader(text)
    try:
        node = _Composer(loader).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        context = f" {error.context}" if error.context else ""
        raise SourceError(_mark(mark), f"not YAML: {error.problem}{context}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # e.g. "\UFFFFFFFF", which no character has
        raise SourceError(_mark(loader.get_mark()), f"not YAML: {error}") from None
    finally:
        loader.dispose()
    return _flatten(node)


class _Composer:
    """Events → nodes. Bounded in depth, in anchors, and in nodes with aliases expanded."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader: Any = loader  # the type stubs know neither peek_event() nor an event's anchor
        self._anchors: dict[str, _Node | None] = {}  # None: still open, so an alias to it is a loop
        self._aliases = 0

    def document(self) -> _Node:
        self._next()  # stream start
        if isinstance(self._loader.peek_event(), yaml.StreamEndEvent):
            return _Node(Mark(1, 1))
        self._next()  # document start
        node = self._node(0)
        self._next()  # document end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "found a second document (---); allowed: one")
        return node

    def _next(self) -> Any:
        event = self._loader.get_event()
        if event is None:
            raise SourceError(_mark(self._loader.get_mark()), "not YAML: the text ends too early")
        return event

    def _node(self, depth: int) -> _Node:
        event = self._next()
        if depth > MAX_DEPTH:
            self._refuse(event, f"found values nested over {MAX_DEPTH} deep; allowed: at most {MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        anchor: str | None = event.anchor
        if anchor is not None:
            self._open(event, anchor)
        if event.tag is not None:
            self._refuse(event, f"found the tag {show_value(event.tag)}; allowed: plain values without tags")
        node = _Node(_mark(event.start_mark))
        if isinstance(event, yaml.ScalarEvent):
            node.scalar = _scalar(event.value) if event.implicit[0] else event.value
        else:
            self._children(node, depth, mapping=isinstance(event, yaml.MappingStartEvent))
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: Any) -> _Node:
        self._aliases += 1
        node = self._anchors.get(event.anchor)
        if node is None:
            why = "contains itself" if event.anchor in self._anchors else "is not defined above"
            self._refuse(event, f"found the alias *{event.anchor}, which {why}; allowed: an earlier &anchor")
        return node

    def _open(self, event: Any, anchor: str) -> None:
        if anchor in self._anchors:
            self._refuse(event, f"found the anchor &{anchor} twice; allowed: each name once")
        if len(self._anchors) >= MAX_ANCHORS:
            self._refuse(event, f"found over {MAX_ANCHORS} anchors; allowed: at most {MAX_ANCHORS}")
        self._anchors[anchor] = None

    def _children(self, node: _Node, depth: int, *, mapping: bool) -> None:
        node.mapping = mapping
        node.items = []
        seen: set[str] = set()
        end = yaml.MappingEndEvent if mapping else yaml.SequenceEndEvent
        while not isinstance(self._loader.peek_event(), end):
            mark = _mark(self._loader.peek_event().start_mark)
            name = self._key(depth) if mapping else len(node.items)
            child = self._node(depth + 1)
            node.size += child.size
            if node.size > MAX_NODES:
                raise SourceError(
                    child.mark, f"found over {MAX_NODES} values, aliases expanded; allowed: fewer"
                )
            if isinstance(name, str) and name in seen:
                node.duplicates.append((mark, name))
                continue
            if isinstance(name, str):
                seen.add(name)
            node.items.append((name, mark, child))
        self._next()  # the end itself

    def _key(self, depth: int) -> str:
        event = self._loader.peek_event()
        key = self._node(depth + 1)
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            self._refuse(
                event, "found a merge key (<<); allowed: keys written out, or a whole value by alias"
            )
        if key.items is not None or not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, "found a key that is not plain text; allowed: text")
        return str(event.value)

    def _refuse(self, event: Any, message: str) -> NoReturn:
        raise SourceError(_mark(event.start_mark), message)


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text


def _flatten(root: _Node) -> Document:
    values: dict[Key, Mark] = {}
    keys: dict[Key, Mark] = {}
    duplicates: list[tuple[Mark, Key]] = []

    def plain(node: _Node, path: Key) -> object:
        values[path] = node.mark
        duplicates.extend((mark, (*path, name)) for mark, name in node.duplicates)
        if node.items is None:
            return node.scalar
        for name, mark, _ in node.items:
            keys[(*path, name)] = mark
        if node.mapping:
            return {name: plain(child, (*path, name)) for name, _, child in node.items}
        return [plain(child, (*path, name)) for name, _, child in node.items]

    data = plain(root, ())
    return Document(data, values, keys, tuple(duplicates))


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)
