"""Where telemetry comes from, each kind of source in a file of its own behind `base.Source`."""
