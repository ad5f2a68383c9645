"""Control problems as pure jax functions, and the policy-gradient algorithms that learn them."""
