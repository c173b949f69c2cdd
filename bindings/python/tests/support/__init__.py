"""What the tests share: real registries, real containers, and what this machine must have."""
