"""phasegate: go on, hold or go back, decided by SQL, a policy and a ledger."""

__version__ = "0.1.0"
