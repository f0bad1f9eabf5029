"""Many targets for CI: JUnit with a suite each, and annotations of a GitHub run, one for each that is not met."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from checker.cli.formats.all_words import command_of, counts_text, story
from checker.cli.formats.junit import ERROR, count_cases, suite_of, xml_text
from checker.cli.say import Annotation
from checker.model import Status
from checker.targets.model import Checked, Judged, Target, word_of
from checker.windows import iso

_MOST_TOLD = 50


def to_junit(checked: Checked) -> str:
    """A suite for each target, by path, as XML text; one that could not be judged is a suite of one error."""
    root = Element("testsuites")
    for target in checked.targets:
        if isinstance(target, Judged):
            suite_of(root, target.result, target.policy)
        else:
            _other(root, target, iso(checked.as_of))
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _other(root: Element, target: Target, as_of: str) -> None:
    suite = SubElement(root, "testsuite", {"name": xml_text(target.title), "timestamp": as_of})
    names = {"classname": xml_text(target.path), "name": "is judged", "time": "0"}
    case = SubElement(suite, "testcase", names)
    kind = ERROR if target.exit_code else "skipped"
    SubElement(case, kind, {"message": xml_text("; ".join(story(target)) or word_of(target))})
    count_cases(suite)


def to_annotations(checked: Checked, folder: Path) -> Iterator[Annotation]:
    """How many came to what; then each target that is not met, the worst first, at its policy; then the warnings."""
    level = "error" if checked.exit_code else "notice"
    yield Annotation(level, counts_text(checked), {"title": "phasegate check --all"})
    for target in checked.not_met[:_MOST_TOLD]:
        yield _annotation("error", target, folder)
    warned = [target for target in checked.worst_first if target.outcome is Status.WARN and target.exit_code == 0]
    for target in warned[:_MOST_TOLD]:
        yield _annotation("warning", target, folder)


def _annotation(level: str, target: Target, folder: Path) -> Annotation:
    file = target.path if folder.is_absolute() else (folder / target.path).as_posix()
    told = "; ".join([*story(target), *filter(None, [command_of(target, folder)])])
    return Annotation(level, told, {"file": file, "title": f"{target.title}: {word_of(target)}"})
