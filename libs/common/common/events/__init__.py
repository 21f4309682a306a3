"""The events of the platform, one module per producer, and the catalogue that routes them."""
