"""From the product's own telemetry to sealed batches: sources, batch, cycle."""
