"""What every service shares: models, errors, the table, events, HTTP and consumers."""
