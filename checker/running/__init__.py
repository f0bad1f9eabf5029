"""The loop: collect, check, report, verify, on each window's boundary, each in a process of its own."""
