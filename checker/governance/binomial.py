"""How often so many of a window's samples lie past a limit, and the smallest true share that so many show. Pure."""

from __future__ import annotations

import math

_NEGLIGIBLE = 1e-18  # of the sum so far: no further term changes it
_HALVINGS = 60


def at_least(needed: int, samples: int, share: float) -> float:
    """P(X ≥ needed) for X ~ Binomial(samples, share): the exact sum, from the term nearest to the mode outward."""
    if needed <= 0 or share >= 1:
        return 1.0 if needed <= samples else 0.0
    if needed > samples or share <= 0:
        return 0.0
    if needed > samples * share:
        return _sum_from(needed, samples, share, 1)
    return max(0.0, 1 - _sum_from(needed - 1, samples, share, -1))


def smallest_share(needed: int, samples: int, confidence: float) -> float:
    """The smallest true share with which at least `needed` of `samples` lie past a limit with `confidence`.

    P(X ≥ needed) rises with the share, so that it is found by bisection. It is the upper bound, one-sided, that Clopper
    and Pearson give for a share of which `needed` - 1 of `samples` were seen (Biometrika 26, 1934, pages 404 to 413);
    for one needed 1 - (1 - confidence)^(1/samples), about 3/samples at 95 %. `needed` is at most `samples`.
    """
    if needed <= 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if at_least(needed, samples, middle) >= confidence:
            high = middle
        else:
            low = middle
    return high


def _sum_from(first: int, samples: int, share: float, step: int) -> float:
    """P(X = first) and all terms beyond it, upward (`step` 1) or downward (-1), away from the mode: each is smaller."""
    odds = share / (1 - share)
    term = total = math.exp(
        math.lgamma(samples + 1)
        - math.lgamma(first + 1)
        - math.lgamma(samples - first + 1)
        + first * math.log(share)
        + (samples - first) * math.log1p(-share)
    )
    count = first
    while 0 <= count + step <= samples and term > _NEGLIGIBLE * total:
        term *= (samples - count) / (count + 1) * odds if step > 0 else count / (samples - count + 1) / odds
        total += term
        count += step
    return total
