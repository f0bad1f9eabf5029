"""How attacks are carried out: a module a kind, beside its cases in `tests/attacks/<module>.yaml`."""
