"""Many targets, each judged by itself: where they are, what became of each, and the worst of it."""
