"""What scripts/bench-proxy is made of: products, scenarios, a run, what it found, bars."""
