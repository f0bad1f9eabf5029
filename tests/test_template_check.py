"""What a template may be made of: every construct that is not on the list is refused at its line, before it runs."""

from __future__ import annotations

import time

import pytest
from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from checker.reporter.facts import facts
from checker.reporter.render import TemplateFault, render
from checker.reporter.template_bounds import MAX_SOURCE
from checker.reporter.template_check import template_problems
from checker.reporter.template_words import NODES, word_faults
from tests import decisions as build

POLICY = build.policy()
FACTS = facts(POLICY, build.violation(POLICY))


def faults(source: str) -> list[str]:
    """The faults of a template called t, whose first line is empty."""
    return [str(problem) for problem in template_problems("t", f"\n{source}", FACTS)]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ 2**10**8 }}", "pow is not allowed"),
        ("{{ 'a' * 10**9 }}", "mul is not allowed"),
        ("{{ -1 }}", "neg is not allowed"),
        ("{{ 'a' ~ phase }}", "concat is not allowed"),
        ("{{ phase[0:1] }}", "slice is not allowed"),
        ("{{ {'a': 1} }}", "dict is not allowed"),
        ("{% set phase = 'A' %}", "assign is not allowed"),
        ("{% set phase %}A{% endset %}", "assignblock is not allowed"),
        ("{% set ns.phase = 'A' %}", "nsref is not allowed"),
        ("{% with phase = 'A' %}{{ phase }}{% endwith %}", "with is not allowed"),
        ("{% filter upper %}x{% endfilter %}", "filterblock is not allowed"),
        ("{% call phase() %}{% endcall %}", "callblock is not allowed"),
        ("{% block phase %}{% endblock %}", "block is not allowed"),
        ("{% macro phase() %}{% endmacro %}", "macro is not allowed"),
        ("{% autoescape false %}{% endautoescape %}", "scopedevalcontextmodifier is not allowed"),
        ("{% include 'x' %}", "include is not allowed"),
        ("{% import 'x' as y %}", "import is not allowed"),
        ("{% from 'x' import y %}", "fromimport is not allowed"),
        ("{% extends 'x' %}", "extends is not allowed"),
        ("{% do phase %}", "Encountered unknown tag 'do'"),
        ("{% break %}", "Encountered unknown tag 'break'"),
        ("{% debug %}", "Encountered unknown tag 'debug'"),
        ("{% trans %}{% endtrans %}", "Encountered unknown tag 'trans'"),
        ("{{ '%1000000000d'|format(1) }}", "the filter 'format' is not allowed"),
        ("{{ phase|attr('__class__') }}", "the filter 'attr' is not allowed"),
        ("{{ phase|center(1000000000) }}", "the filter 'center' is not allowed"),
        ("{{ phase|safe }}", "the filter 'safe' is not allowed"),
        ("{{ phase|list }}", "the filter 'list' is for lists"),
        ("{{ phase|join('xx')|join('yy') }}", "the filter 'join' is for lists"),
        ("{{ metrics.values()|map('join', 'x')|join }}", "the filter 'map' cannot be given that"),
        ("{{ metrics.values()|map(attribute='text', default='x')|join }}", "the filter 'map' cannot be given that"),
        ("{{ metrics.values()|map(attribute=phase)|join }}", "the filter 'map' cannot be given that"),
        (
            "{{ metrics.values()|selectattr('value', 'eq', '1')|length }}",
            "the filter 'selectattr' cannot be given that",
        ),
        ("{{ metrics.values()|selectattr('status', 'callable')|length }}", "'selectattr' cannot be given that"),
        ("{{ phase is divisibleby 2 }}", "the test 'divisibleby' is not allowed"),
        ("{{ phase is filter }}", "the test 'filter' is not allowed"),
        ("{{ '{0.__class__}'.format(phase) }}", "has no 'format'"),
        ("{{ lipsum() }}", "no placeholder 'lipsum'"),
        ("{{ cycler('a') }}", "no placeholder 'cycler'"),
        ("{{ namespace(a=1) }}", "no placeholder 'namespace'"),
        ("{{ self }}", "no placeholder 'self'"),
        ("{{ caller() }}", "no placeholder 'caller'"),
        ("{{ loop.index }}", "no placeholder 'loop'"),
        ("{% for slo in metrics %}{% endfor %}{{ slo }}", "no placeholder 'slo'"),
        ("{% for slo in metrics %}{{ loop.__class__ }}{% endfor %}", "'loop' has no '__class__'"),
        ("{% for slo in metrics %}{{ loop.cycle('a') }}{% endfor %}", "'loop' has no 'cycle'"),
        ("{{ phase.__init__.__globals__ }}", "'phase' has no '__init__'"),
        ("{{ ''['__class__'] }}", "has no '__class__'"),
        ("{{ phase[0] }}", "parts are read by their names only"),
        ("{{ metrics.get('x') }}", "'metrics' has no 'get'"),
        ("{{ metrics.values(1) }}", "only items, keys, values may be called"),
        ("{{ metrics.failure_rate.items() }}", "only items, keys, values may be called"),
        ("{{ metrics }}", "prints a whole list"),
        ("{% for phase in metrics %}{% endfor %}", "'phase' is a placeholder"),
        ("{% for decision, outcome in metrics.items() %}{% endfor %}", "'outcome' is a placeholder"),
        ("{% for loop in metrics %}{% endfor %}", "'loop' is a placeholder"),
        ("{% for letter in phase %}{% endfor %}", "loops go over metrics only"),
        ("{% for n in range(9) %}{% endfor %}", "loops go over metrics only"),
        ("{% for text in metrics.values()|map(attribute='text') %}{% endfor %}", "loops go over metrics only"),
        ("{% for a in metrics recursive %}{% endfor %}", "loops may be 2 deep, and not recursive"),
        ("{% for a in metrics %}" * 3 + "{% endfor %}" * 3, "loops may be 2 deep"),
        ("{% if window == 'x' %}{% endif %}", "only phase, next_phase, "),
        ("{% if metrics.failure_rate.value == '1' %}{% endif %}", "only phase, next_phase, "),
        ("{% if phase == window %}{% endif %}", "only phase, next_phase, "),
        ("{{ 'a' if phase < 'B' else 'b' }}", "only ==, !=, in and not in compare"),
        ("{{ " + "not " * 200 + "phase }}", "a tag of more than 120 words and signs"),
        ("{{ phase" + ".x" * 70 + " }}", "a tag of more than 120 words and signs"),
        ("{{ " + "(" * 7 + "1" + ")" * 7 + " }}", "brackets more than 6 deep"),
        ("{% if phase %}" * 7 + "{% endif %}" * 7, "blocks more than 6 deep"),
        ("{{ " + "1" * 13 + " }}", "a number of 13 digits"),
        ("\u200bx", "holds U+200B, which cannot be seen"),
        ("{{ '\\u202e' }}", "holds what cannot be seen"),
        ("{{ '\\ud800' }}", "holds what cannot be seen"),
    ],
)
def test_what_is_not_on_the_list_is_refused_at_its_line(source: str, said: str) -> None:
    found = faults(source)
    assert any(fault.startswith("t:2: ") and said in fault for fault in found), found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% if phase in ('A', 'B') and not incident == 'none' %}{% else %}x{% endif %}", "x"),
        ("{% for slo in metrics.values() if slo.status == 'violation' %}{{ slo.text }}{% endfor %}", "2.31 s"),
        ("{% for name, slo in metrics.items() if name != metric %}{{ loop.index }}{{ slo.compact }} {% endfor %}",
         "10.21% 20 341s"),
        ("{{ metrics[metric].text }}", "2.31 s"),
        ("{{ metrics.values()|selectattr('status', 'equalto', 'ok')|map(attribute='title')|join(', ') }}",
         "failure rate, history drift, collector latency"),
        ("{{ metrics|length }} {{ phase|lower }} {{ metrics|first }}", "4 b save_latency_p95"),
        ("{% for a in metrics %}{{ a }}{% if not loop.last %}, {% endif %}{% endfor %}",
         "save_latency_p95, failure_rate, history_drift, collector_latency"),
        ("{% for a in metrics %}{{ a if loop.first == 'x' }}{{ ',' if not loop.last }}{% endfor %}", ",,,"),
        ("{% if phase is defined %}{{ 'yes' if metric in metrics else 'no' }}{% endif %}", "yes"),
    ],
)  # fmt: skip
def test_what_wording_needs_is_allowed(source: str, expected: str) -> None:
    assert render(source, FACTS) == expected


def test_a_node_that_jinja_may_add_is_refused() -> None:
    known = {kind for kind in vars(nodes).values() if isinstance(kind, type) and issubclass(kind, nodes.Node)}
    assert known > NODES

    class Shout(Extension):
        """A tag of somebody's own."""

        tags = frozenset({"shout"})

        def parse(self, parser: Parser) -> nodes.Node:
            """The tag as a node that nobody has heard of."""
            return nodes.Continue(lineno=next(parser.stream).lineno)

    tree = Environment(extensions=[Shout], autoescape=True).parse("\n{% shout %}")
    assert list(word_faults(tree, FACTS)) == [(2, "continue is not allowed: templates word and never compute")]


@pytest.mark.parametrize("tag", ["{{ phase }}", "{% if phase %}{% endif %}", "{{ 'a' if phase else 'b' }}", "{# #}"])
def test_the_biggest_template_takes_no_time(tag: str) -> None:
    source = tag * (MAX_SOURCE // len(tag))
    began = time.process_time()
    render(source, FACTS)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("\n\n{{ metrics.failure_rate }}", 3, "prints a dict, which is no text"),
        ("\n{% for a in metrics %}{% for b in metrics %}" + "x" * 500 + "{% endfor %}" * 2, 2, "its text is longer"),
        ("\n{{ metrics[metric].text }}{{ metrics[outcome].text }}", 2, "has no attribute 'violation'"),
    ],
)  # fmt: skip
def test_what_shows_only_in_rendering_has_its_line(source: str, line: int, said: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        render(source, FACTS, name="t")
    (problem,) = caught.value.problems
    assert said in problem.message
    assert problem.line in (line, 0)
