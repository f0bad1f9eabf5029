"""Rules of a policy's places that look at more than two values. Pure."""

from __future__ import annotations

from checker.analyzer.exposure import share_in
from checker.governance.policy_changes import Difference
from checker.governance.policy_tree import Leaf, Node, leaf_at
from checker.governance.rule_kinds import LOOSENING, NEUTRAL, TIGHTENING, UNKNOWN, Sides, Told, more


def tell_threshold(difference: Difference, sides: Sides) -> Told:
    """A limit of one phase: by its comparison, where that and the unit stayed."""
    slo = difference.path[:2]
    if difference.base is None or difference.head is None:
        return _phase_of_its_own(difference)
    if not sides.share((*slo, "comparison"), (*slo, "unit")):
        return UNKNOWN, "the comparison or the unit changed as well, so the two numbers cannot be compared"
    comparison = leaf_at(sides.head, (*slo, "comparison"))
    match comparison.text if comparison else "":
        case "lte":
            return more((LOOSENING, "a larger upper limit lets more through"), _LESS)(difference, sides)
        case "gte":
            return more((TIGHTENING, "a larger lower limit lets less through"), _LOWER)(difference, sides)
    return UNKNOWN, "another exact value is neither more nor less"


_LESS = (TIGHTENING, "a smaller upper limit lets less through")
_LOWER = (LOOSENING, "a smaller lower limit lets more through")


def _phase_of_its_own(difference: Difference) -> Told:
    if difference.head is None:
        return LOOSENING, "a threshold was taken away"
    return UNKNOWN, "the threshold of a phase that is new"


def tell_warn_at(difference: Difference, sides: Sides) -> Told:
    """The share of the limit at which a warning begins (lte)."""
    if sides.texts((*difference.path[:2], "comparison")) != ("lte", "lte"):
        return UNKNOWN, "the share holds for lte alone, and the comparison is or was another"
    return more((LOOSENING, "the warning comes later"), (TIGHTENING, "the warning comes earlier"))(difference, sides)


def tell_warn_below(difference: Difference, sides: Sides) -> Told:
    """The value below which a warning begins (gte)."""
    if sides.texts((*difference.path[:2], "comparison")) != ("gte", "gte"):
        return UNKNOWN, "the line holds for gte alone, and the comparison is or was another"
    return more((TIGHTENING, "the warning comes earlier"), (LOOSENING, "the warning comes later"))(difference, sides)


def tell_min_samples(difference: Difference, sides: Sides) -> Told:
    """By what too few samples lead to."""
    if sides.texts((*difference.path[:2], "on_no_data")) == ("violation", "violation"):
        up = TIGHTENING, "more windows have too few samples, and that is a violation here"
        down = LOOSENING, "fewer windows have too few samples, and that is a violation here"
        return more(up, down)(difference, sides)
    return UNKNOWN, "too few samples hold back a pass and hide a violation alike"


def tell_slo(difference: Difference, sides: Sides) -> Told:
    """A whole SLO."""
    if difference.renamed_from is not None:
        return UNKNOWN, "gates and the ledger know the SLO by its name"
    if difference.head is None:
        return LOOSENING, "an SLO was taken away"
    leads_to = leaf_at(difference.head, ("on_violation",))
    if leads_to is None or leads_to.text == "observe":
        return UNKNOWN, "an SLO that is only observed, but measured in the same time as the others"
    query = leaf_at(difference.head, ("query",))
    if query is None or not any(sides.same_query(known, query.text) for known in _texts(sides.base, "slos", "query")):
        return UNKNOWN, "one more SLO, by a query that is new: what it takes of the others' time is not known"
    return TIGHTENING, "one more SLO must be met, by a query that is there already"


def tell_query(difference: Difference, sides: Sides) -> Told:
    """The file of an SLO's or a gate's query."""
    before, after = (leaf.text if leaf else "" for leaf in difference.leaves)
    if sides.same_query(before, after):
        return NEUTRAL, "the same query in another file: DuckDB reads the same tree, and the header says the same"
    return UNKNOWN, "another query"


def tell_notice(difference: Difference, sides: Sides) -> Told:
    """A whole notice; a new one is told to people, and in words, that may be new as well."""
    if difference.renamed_from is not None:
        return UNKNOWN, "the ledger knows what was told by the notice's name"
    if difference.head is None:
        return LOOSENING, "a notice was taken away"
    channel, template = (leaf_at(difference.head, (key,)) for key in ("channel", "template"))
    if channel is None or channel.text not in _texts(sides.base, "notices", "channel"):
        return UNKNOWN, "one more notice, in a channel that no notice goes to yet: other people are told"
    if template is None or not any(
        sides.same_template(known, template.text) for known in _texts(sides.base, "notices", "template")
    ):
        return UNKNOWN, "one more notice, by a template that is new: its words are not weighed"
    return TIGHTENING, "one more notice, in a channel and in words that are there already"


def _texts(side: Node, section: str, key: str) -> list[str]:
    """What the entries of a section say under `key`."""
    entries = {} if isinstance(side, Leaf) else side.get(section, {})
    leaves = () if isinstance(entries, Leaf) else (leaf_at(entry, (key,)) for entry in entries.values())
    return [leaf.text for leaf in leaves if leaf is not None]


def tell_template(difference: Difference, sides: Sides) -> Told:
    """The file of a notice's template."""
    before, after = (leaf.text if leaf else "" for leaf in difference.leaves)
    if sides.same_template(before, after):
        return NEUTRAL, "the same template in another file: Jinja reads the same tree"
    return UNKNOWN, "another template"


def tell_gate_of_phase(difference: Difference, sides: Sides) -> Told:
    """Which gate a phase has."""
    before, after = (leaf.text if leaf else "" for leaf in difference.leaves)
    if _same_gate(_gate(sides.base, before), _gate(sides.head, after), sides):
        return NEUTRAL, "the same gate under another name"
    return UNKNOWN, "another gate"


def _gate(side: Node, name: str) -> Node:
    gates = side["gates"] if not isinstance(side, Leaf) else {}
    return {} if isinstance(gates, Leaf) else gates.get(name, {})


def _same_gate(base: Node, head: Node, sides: Sides) -> bool:
    queries = leaf_at(base, ("query",)), leaf_at(head, ("query",))
    if None in queries or isinstance(base, Leaf) or isinstance(head, Leaf):
        return False
    before, after = (leaf.text if leaf else "" for leaf in queries)
    return base.get("parameters") == head.get("parameters") and sides.same_query(before, after)


_TIGHTER_WITH_MORE = ("batches", "windows", "minutes", "hours", "days")


def tell_parameter(difference: Difference, sides: Sides) -> Told:
    """A parameter of a gate, by its name, where the query stayed."""
    before, after = sides.texts((*difference.path[:2], "query"))
    if before is None or after is None or not sides.same_query(before, after):
        return UNKNOWN, "the gate's query changed as well, so the two numbers cannot be compared"
    name = difference.path[-1]
    if name in _TIGHTER_WITH_MORE or name.startswith("min_"):
        return more((TIGHTENING, "the gate asks for more"), (LOOSENING, "the gate asks for less"))(difference, sides)
    if name.startswith("max_"):
        return more((LOOSENING, "the gate allows more"), (TIGHTENING, "the gate allows less"))(difference, sides)
    return UNKNOWN, "what the parameter does is known to its query alone"


def tell_audience(difference: Difference, sides: Sides) -> Told:
    """Who is exposed, in words; the percentage that they begin with is held against what the events say."""
    del sides
    before, after = (share_in(leaf.text) if leaf else None for leaf in difference.leaves)
    if before == after:
        return NEUTRAL, "words for people; the share that they name stayed"
    return UNKNOWN, "another share of the events is expected to carry the phase"


def tell_allow_looser(difference: Difference, sides: Sides) -> Told:
    """The reason for a later phase that is looser."""
    del sides
    if difference.base is not None and difference.head is not None:
        return NEUTRAL, "the reason is worded anew; that there is one is what counts"
    if difference.base is None:
        return LOOSENING, "later phases may be looser than earlier ones"
    return TIGHTENING, "later phases may be looser no more"
