"""Writes labels in time for Praat, ELAN, Audacity and RTTM.

The files of Praat and ELAN hold a whole session in tiers. Each channel has one with the bare
emotions, to search and count, and one with the details. Labels of a tier must not overlap; those
that would are in a further tier, so that nothing is left out. No two tiers have the same name,
which ELAN does not open. Times are whole milliseconds.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree as ET

from streamer.export.subtitles import caption
from streamer.logs.sessions import LoggedSession, LoggedUtterance
from streamer.text import one_line
from streamer.types import NO_SPEECH

MARKS = "marks"
"""The tier of the marks that somebody set while listening."""

MARK_MS = 100
"""Length of a mark where a format has no points: ELAN shows and selects it."""

_Interval: TypeAlias = tuple[int, int, str]
"""Begin and end in milliseconds, and the label."""


@dataclass(frozen=True, slots=True)
class _Tier:
    name: str
    intervals: tuple[_Interval, ...]  # by begin, none overlaps another


def label(utterance: LoggedUtterance) -> str:
    """What an utterance counts as, in one word: an emotion, or why there is none."""
    return utterance.verdict.replace(" ", "_")


def textgrid(session: LoggedSession) -> str:
    """A session as a TextGrid of Praat, in its long text format; marks are a tier of points."""
    tiers = list(_tiers(session))
    ends = [end for tier in tiers for _, end, _ in tier.intervals]
    last = max([*ends, *(round(1000 * mark.end_s) for mark in session.marks)])
    size = len(tiers) + bool(session.marks)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0", f"xmax = {_s(last)}", "tiers? <exists>", f"size = {size}", "item []:"]
    for number, tier in enumerate(tiers, start=1):
        filled = list(_without_gaps(tier.intervals, last))
        lines += _tier_head(number, "IntervalTier", tier.name, last)
        lines.append(f"        intervals: size = {len(filled)}")
        for index, (begin, end, text) in enumerate(filled, start=1):
            lines += [f"        intervals [{index}]:", f"            xmin = {_s(begin)}"]
            lines += [f"            xmax = {_s(end)}", f"            text = {_quoted(text)}"]
    if session.marks:
        at = {round(1000 * mark.start_s): mark.note for mark in session.marks}  # one at a time
        name = _free(MARKS, {tier.name for tier in tiers})
        lines += _tier_head(size, "TextTier", name, last)
        lines.append(f"        points: size = {len(at)}")
        for index, (time, note) in enumerate(sorted(at.items()), start=1):
            lines += [f"        points [{index}]:", f"            number = {_s(time)}"]
            lines.append(f"            mark = {_quoted(one_line(note) or 'mark')}")
    return "\n".join([*lines, ""])


def elan(session: LoggedSession) -> str:
    """A session as an EAF file of ELAN, version 3.0, with the recording beside it where known."""
    tiers = list(_tiers(session))
    if session.marks:
        moments = [(round(1000 * mark.start_s), one_line(mark.note)) for mark in session.marks]
        marks = [(at, at + MARK_MS, note or "mark") for at, note in moments]
        tiers += _tiers_of(MARKS, marks, {tier.name for tier in tiers})
    root = ET.Element("ANNOTATION_DOCUMENT", {
        "AUTHOR": "streamer", "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
        "FORMAT": "3.0", "VERSION": "3.0",
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
    })  # fmt: skip
    header = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if session.source and (media := Path(session.source)).is_file():
        kind = "audio/x-wav" if media.suffix.lower() == ".wav" else "audio/*"
        address = {"MEDIA_URL": media.resolve().as_uri(), "MIME_TYPE": kind}
        ET.SubElement(header, "MEDIA_DESCRIPTOR", address)
    order = ET.SubElement(root, "TIME_ORDER")
    slots = 0
    for tier in tiers:
        parts = {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": tier.name}
        node = ET.SubElement(root, "TIER", parts)
        for begin, end, text in tier.intervals:
            slots += 2
            first, second = f"ts{slots - 1}", f"ts{slots}"
            for name, time in ((first, begin), (second, end)):
                ET.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(time))
            within = ET.SubElement(node, "ANNOTATION")
            ids = {"ANNOTATION_ID": f"a{slots // 2}"}
            ids |= {"TIME_SLOT_REF1": first, "TIME_SLOT_REF2": second}
            value = ET.SubElement(within, "ALIGNABLE_ANNOTATION", ids)
            ET.SubElement(value, "ANNOTATION_VALUE").text = text
    kinds = {"LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}
    ET.SubElement(root, "LINGUISTIC_TYPE", kinds | {"GRAPHIC_REFERENCES": "false"})
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def audacity(session: LoggedSession, channel: str) -> str:
    """The utterances of a channel, and the marks, as a label track of Audacity."""
    labels = [
        (*_span(utterance), caption(utterance))
        for utterance in session.utterances
        if utterance.channel == channel
    ]
    for mark in session.marks:
        at = round(1000 * mark.start_s)
        labels.append((at, at, f"mark: {one_line(mark.note)}" if mark.note else "mark"))
    return "".join(f"{_s(begin)}\t{_s(end)}\t{text}\n" for begin, end, text in sorted(labels))


def rttm(session: LoggedSession, recording: str) -> str:
    """A session as RTTM (NIST), with the emotion where the speaker's name stands.

    Args:
        session: The session; utterances without speech, and marks, are left out.
        recording: The name of the recording that the lines refer to.
    """
    numbers = {name: n for n, name in enumerate(channels(session), start=1)}
    name = re.sub(r"\s", "_", recording)
    lines = []
    for utterance in session.utterances:
        if utterance.verdict == NO_SPEECH:
            continue
        begin, end = _span(utterance)
        sure = "<NA>" if utterance.confidence is None else f"{utterance.confidence:.4f}"
        lines.append(
            f"SPEAKER {name} {numbers[utterance.channel]} {_s(begin)} {_s(end - begin)} "
            f"<NA> <NA> {label(utterance)} {sure} <NA>\n"
        )
    return "".join(lines)


def channels(session: LoggedSession) -> list[str]:
    """The names of the channels, in the order in which they first speak."""
    return list(dict.fromkeys(utterance.channel for utterance in session.utterances))


def _tiers(session: LoggedSession) -> Iterator[_Tier]:
    """For each channel the emotions, and then the details."""
    taken: set[str] = set()
    for channel in channels(session):
        own = [utterance for utterance in session.utterances if utterance.channel == channel]
        name = one_line(channel) or "channel"
        yield from _tiers_of(name, [(*_span(each), label(each)) for each in own], taken)
        details = [(*_span(each), caption(each)) for each in own]
        yield from _tiers_of(f"{name} details", details, taken)


def _tiers_of(name: str, intervals: Sequence[_Interval], taken: set[str]) -> Iterator[_Tier]:
    """As few tiers as hold them without overlaps: one, unless somebody edited the times.

    Args:
        name: Of the first, with a number where it is taken.
        intervals: What they hold.
        taken: The names of other tiers; those of these are added.
    """
    lanes: list[list[_Interval]] = []
    for interval in sorted(intervals):
        free = next((lane for lane in lanes if lane[-1][1] <= interval[0]), None)
        if free is None:
            lanes.append([interval])
        else:
            free.append(interval)
    for lane in lanes:
        unique = _free(name, taken)
        taken.add(unique)
        yield _Tier(unique, tuple(lane))


def _free(name: str, taken: Collection[str]) -> str:
    """The name, or the first of "name 2", "name 3" and so on that is not taken."""
    numbered = (f"{name} {number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)


def _span(utterance: LoggedUtterance) -> tuple[int, int]:
    """Begin and end in milliseconds, at least one apart."""
    begin = round(1000 * utterance.start_s)
    return begin, max(round(1000 * utterance.end_s), begin + 1)


def _without_gaps(intervals: Sequence[_Interval], last: int) -> Iterator[_Interval]:
    """With empty ones in between, from 0 to the end, as Praat expects them."""
    at = 0
    for begin, end, text in intervals:
        if begin > at:
            yield at, begin, ""
        yield begin, end, text
        at = end
    if at < last:
        yield at, last, ""


def _tier_head(number: int, kind: str, name: str, last: int) -> list[str]:
    head = [f"    item [{number}]:", f'        class = "{kind}"', f"        name = {_quoted(name)}"]
    return [*head, "        xmin = 0", f"        xmax = {_s(last)}"]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _s(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"
