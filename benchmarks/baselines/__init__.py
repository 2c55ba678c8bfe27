"""What imgq is measured against; see docs/performance.md."""
