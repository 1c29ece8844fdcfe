"""Why a byte is counted where it is: the answer to ``report --explain SYMBOL``.

What is asked for may be a symbol, mangled or as it is written in C++, an address, an output section, an object file or
an archive, by its path, the end of its path, or its name, or an operator. The first that is found is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from platformio_tflm.core.categories import section_symbol
from platformio_tflm.core.demangle import readable, scopes_of
from platformio_tflm.core.elf import ElfImage, ElfSymbol
from platformio_tflm.core.map_model import LinkMap
from platformio_tflm.core.memory import Span, Usage
from platformio_tflm.core.placement import PlacedSection, area_at
from platformio_tflm.core.report.explained import ExplainedBytes, Explanation
from platformio_tflm.errors import UsageError

_NEAREST = 4
_WHAT_THERE_IS = "Give a symbol, an address, a section, an operator, an object file or an archive."
_COMPARED_NAMES = 2_000
_MAXIMUM_QUERY_LETTERS = 2_000


@dataclass(frozen=True)
class Explainer:
    """Answers questions about one measured program."""

    usage: Usage
    elf: ElfImage
    link_map: LinkMap

    def explain(self, query: str) -> tuple[Explanation, ...]:
        """All that has the name. Raises UsageError, with the nearest names, if nothing has it."""
        query = query.strip()[:_MAXIMUM_QUERY_LETTERS]
        searches: tuple[Callable[[str], Iterator[Explanation]], ...] = (
            self._address,
            self._symbols,
            self._sections,
            self._files,
            self._operators,
            self._written_names,
            self._discarded,
        )
        for search in searches:
            found = tuple(search(query)) if query else ()
            if found:
                return found
        near = self._nearest(query)
        raise UsageError(
            f"nothing in the program is called {query!r}",
            where="--explain",
            hint=f"Did you mean {' or '.join(near)}?" if near else _WHAT_THERE_IS,
        )

    def _address(self, query: str) -> Iterator[Explanation]:
        try:
            address = int(query, 16) if query[:2].lower() == "0x" else -1
        except ValueError:
            return
        runs = self._runs(address, 1)
        if runs:
            inside = [f"inside symbol {s.name} ({s.size_bytes:,} bytes)" for s in self.elf.symbols_over(address)]
            yield Explanation(query, "address", f"{address:#x}", "", 1, runs, tuple(inside))

    def _symbols(self, query: str) -> Iterator[Explanation]:
        yield from self._of_symbols(query, (symbol for symbol in self.elf.symbols if symbol.name == query))

    def _written_names(self, query: str) -> Iterator[Explanation]:
        wanted = scopes_of(query)
        letters = wanted[-1].lstrip("~") if wanted else ""
        if letters:
            candidates = (s for s in self.elf.symbols if letters in s.name and s.name.startswith("_Z"))
            named = (s for s in candidates if scopes_of(readable(s.name))[-len(wanted) :] == wanted)
            yield from self._of_symbols(query, named)

    def _of_symbols(self, query: str, symbols: Iterable[ElfSymbol]) -> Iterator[Explanation]:
        seen = set()
        for symbol in symbols:
            key = (symbol.name, symbol.address, symbol.size_bytes)
            if symbol.section in ("", "*ABS*") or key in seen or symbol.type in ("FILE", "SECTION"):
                continue
            seen.add(key)
            runs = self._runs(symbol.address, max(1, symbol.size_bytes))
            notes = [] if symbol.size_bytes else ["a label without a size: the byte at its address is shown"]
            files = dict.fromkeys(map(_object_of, runs))
            notes += [f"its file is {note}" for name in files for note in self._why_linked(name)]
            name = _readable(symbol.name)
            yield Explanation(query, "symbol", symbol.name, name, symbol.size_bytes, runs, tuple(notes))

    def _sections(self, query: str) -> Iterator[Explanation]:
        for placed in self.usage.placement.sections:
            if placed.name == query:
                spans = [span for span in self.usage.spans if self._placed(span) is placed]
                yield self._of_spans(query, "section", placed.name, spans)

    def _files(self, query: str) -> Iterator[Explanation]:
        found: dict[tuple[str, str], list[Span]] = {}
        for span in self.usage.spans:
            for key in _files_of(span):
                if _is_named(key, query):
                    found.setdefault(key, []).append(span)
        for (kind, name), spans in found.items():
            yield self._of_spans(query, kind, name, spans)

    def _operators(self, query: str) -> Iterator[Explanation]:
        spans = [span for span in self.usage.spans if query.upper() in span.verdict.operator.upper().split("/")]
        if spans:
            yield self._of_spans(query, "operator", spans[0].verdict.operator, spans)

    def _of_spans(self, query: str, kind: str, name: str, spans: list[Span]) -> Explanation:
        runs = tuple(self._run(span, span.address, span.size_bytes) for span in spans)
        notes = tuple(self._why_linked(name)) if kind == "object" else ()
        return Explanation(query, kind, name, "", sum(run.size_bytes for run in runs), runs, notes)

    def _why_linked(self, name: str) -> Iterator[str]:
        """Of ``archive(member)``; an object file that the command line names needs no reason."""
        for member in self.link_map.members:
            if f"{member.archive}({member.member})" == name:
                yield f"linked because {member.wanted_by} refers to {member.symbol}"

    def _discarded(self, query: str) -> Iterator[Explanation]:
        wanted = scopes_of(query)
        for row in self.link_map.discarded:
            symbol = section_symbol(row.name)
            named = query in (row.name, symbol, row.member, row.archive)
            if named or (symbol and wanted and scopes_of(readable(symbol))[-len(wanted) :] == wanted):
                file = f"{row.archive}({row.member})" if row.archive else row.member
                note = f"not in the program: the linker dropped {row.name} of {file}, for nothing uses it"
                yield Explanation(query, "discarded", row.name, _readable(symbol), row.size_bytes, (), (note,))

    def _runs(self, address: int, size_bytes: int) -> tuple[ExplainedBytes, ...]:
        end = address + size_bytes
        runs = []
        for span in self.usage.spans:
            start, stop = max(address, span.address), min(end, span.address + span.size_bytes)
            if start < stop:
                runs.append(self._run(span, start, stop - start))
        return tuple(runs)

    def _run(self, span: Span, address: int, size_bytes: int) -> ExplainedBytes:
        placement, placed, source = self.usage.placement, self._placed(span), span.source
        area = placed.area if placed else area_at(placement.areas, span.address)
        load = None
        if placed and placed.held and placed.load_address != placed.address:
            load = placed.load_address + address - placed.address
        load_area = placed.load_area if placed and load is not None else None
        # Where overlays share addresses, the part that counts is the end of the span.
        last = span.address + span.size_bytes - address - size_bytes
        return ExplainedBytes(
            address=address,
            size_bytes=size_bytes,
            flash_bytes=min(size_bytes, max(0, span.flash_bytes - last)),
            sram_bytes=min(size_bytes, max(0, span.sram_bytes - last)),
            region=area.name if area else "",
            region_kind=area.kind if area else "",
            load_address=load,
            load_region=load_area.name if load_area else "",
            section=span.section,
            input_section=source.name if source else "",
            archive=(source.archive or "") if source else "",
            member=source.member if source else "",
            category=span.verdict.category.value,
            operator=span.verdict.operator,
            reason=span.verdict.reason,
        )

    def _placed(self, span: Span) -> PlacedSection | None:
        for placed in self.usage.placement.sections:
            if placed.name == span.section and 0 <= span.address - placed.address < placed.size_bytes:
                return placed
        return None

    def _nearest(self, query: str) -> list[str]:
        """Names that contain the query come first, the shortest of them before the others."""
        from difflib import get_close_matches  # noqa: PLC0415

        lowered = query.lower()
        names = {name for name in self._names() if name}
        inside = sorted((name for name in names if lowered and lowered in name.lower()), key=lambda n: (len(n), n))
        if len(inside) < _NEAREST:
            names |= {name.rpartition("::")[2] for name in names}
            alike = sorted(n for n in names if n and abs(len(n) - len(query)) <= 2 + len(query) // 4)[:_COMPARED_NAMES]
            by_lower = {name.lower(): name for name in alike}
            inside += [by_lower[near] for near in get_close_matches(lowered, list(by_lower), n=_NEAREST, cutoff=0.6)]
        return list(dict.fromkeys(inside))[:_NEAREST]

    def _names(self) -> Iterator[str]:
        for symbol in self.elf.symbols:
            if symbol.section and symbol.type not in ("FILE", "SECTION"):
                yield readable(symbol.name)
        yield from (placed.name for placed in self.usage.placement.sections)
        for span in self.usage.spans:
            for _, name in _files_of(span):
                yield name.replace("\\", "/").rpartition("/")[2]


def _object_of(run: ExplainedBytes) -> str:
    return f"{run.archive}({run.member})" if run.archive else run.member


def _readable(symbol: str) -> str:
    """The C++ name; "" for a name that is read as it is."""
    name = readable(symbol)
    return "" if name == symbol else name


def _files_of(span: Span) -> Iterator[tuple[str, str]]:
    source = span.source
    if source is None or not source.member or span.origin == "padding":
        return
    if source.archive:
        yield "archive", source.archive
        yield "object", f"{source.archive}({source.member})"
    else:
        yield "object", source.member


def _is_named(file: tuple[str, str], query: str) -> bool:
    """By the path, its end, or, for an archive's member, its own name, with or without its endings."""
    kind, name = file
    path, wanted = name.replace("\\", "/"), query.replace("\\", "/")
    if path == wanted or path.endswith(f"/{wanted}"):
        return True
    if kind == "archive":
        return False
    member = path[:-1].rpartition("(")[2] if path.endswith(")") else path.rpartition("/")[2]
    return wanted in (member, member.partition(".")[0])
