"""OpenTelemetry's logs: records become event lines, and requests are kept until they are collected."""
